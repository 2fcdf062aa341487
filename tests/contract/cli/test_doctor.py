from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pika
import pytest
import requests

from tests.unit.cli.called import taskedit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pika.adapters.blocking_connection import BlockingChannel

    from ops.rabbitmq.node import Node
    from schemas import Names

Environ = dict[str, str]
Checks = dict[str, dict[str, Any]]


class _Api(BaseHTTPRequestHandler):
    """A host that answers; by a clock of its own if it is told so."""

    date: str | None = None
    lanes: dict[str, Any] | None = None
    """It is a worker's ops HTTP too if it is told so."""

    def do_GET(self) -> None:
        body = json.dumps(self.lanes).encode()
        self.send_response_only(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_HEAD(self) -> None:
        self.send_response_only(404)
        self.send_header("Date", self.date or self.date_time_string())
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def api() -> Iterator[type[_Api]]:
    """The API's host, on the port that `api.port` names."""
    answers = type("Api", (_Api,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), answers) as server:
        answers.port = server.server_port  # type: ignore[attr-defined]
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield answers
        server.shutdown()
        thread.join()


@pytest.fixture
def healthy(environ: Environ, api: Any, tmp_path: Path) -> Environ:  # noqa: ANN401 - see `api`
    """The settings of a worker that could run."""
    return environ | {
        "TASKEDIT_API_URL": f"http://127.0.0.1:{api.port}/aivoice",
        "TASKEDIT_STATE_DIR": str(tmp_path),
        "TASKEDIT_OPS_ADDRESS": "127.0.0.1:0",
    }


def examined(environ: Environ) -> tuple[int, Checks]:
    result = taskedit("doctor", "--json", environ=environ)
    checks = [json.loads(line) for line in result.stdout.splitlines()]
    checks.sort(key=lambda check: check["health"] == "bad")  # of several, a bad one is kept
    return result.exit_code, {check["check"]: check for check in checks}


def bad(checks: Checks) -> set[str]:
    return {name for name, check in checks.items() if check["health"] == "bad"}


def letters(channel: BlockingChannel, names: Names) -> list[bytes]:
    found = []
    count = channel.queue_declare(names.dead, passive=True).method.message_count
    for _, _, body in channel.consume(names.dead, auto_ack=True, inactivity_timeout=0.5):
        if body is None:
            break
        found.append(body)
    channel.cancel()
    assert len(found) == count
    return found


@pytest.mark.usefixtures("topology")
def test_a_worker_that_could_run_ends_with_0(healthy: Environ, broker: Node) -> None:
    code, checks = examined(healthy)
    assert (code, bad(checks)) == (0, set())
    assert f"RabbitMQ {broker.version}" in checks["broker"]["says"]
    for name in ("settings", "permissions", "dead letters", "api", "clock"):
        assert checks[name]["health"] == "good", checks[name]


def test_a_missing_lane_is_declared_by_the_worker_and_no_fault(
    healthy: Environ, channel: BlockingChannel, names: Names
) -> None:
    code, checks = examined(healthy)
    assert (code, bad(checks)) == (1, {"topology"}), "nobody can publish without the exchange"

    taskedit("topology", "apply", environ=healthy)
    channel.queue_delete(names.lane("default"))
    code, checks = examined(healthy)
    assert (code, bad(checks)) == (0, set())
    assert checks["topology"]["mend"]

    code, checks = examined(healthy | {"TASKEDIT_DECLARE": "false"})
    assert (code, bad(checks)) == (1, {"topology"})


@pytest.mark.usefixtures("topology")
def test_the_probe_leaves_nothing_behind_and_other_letters_in_order(
    healthy: Environ, channel: BlockingChannel, names: Names
) -> None:
    bodies = [str(number).encode() for number in range(300)]
    channel.confirm_delivery()
    for body in bodies:
        channel.basic_publish(names.dead, "", body)
    for _ in range(3):
        _, checks = examined(healthy)
        assert checks["dead letters"]["health"] == "good"
        assert "probe" in checks["dead letters"]["says"]
    assert letters(channel, names) == bodies


@pytest.mark.usefixtures("topology")
def test_a_forgotten_probe_is_removed(
    healthy: Environ, channel: BlockingChannel, names: Names
) -> None:
    channel.confirm_delivery()
    for kind in ("", "task-edit.probe", ""):
        channel.basic_publish(names.dead, "", kind.encode(), pika.BasicProperties(type=kind))
    examined(healthy)
    assert letters(channel, names) == [b"", b""]


LANE = {"state": "running", "why": None, "api_status": None, "since": "2026-11-22T08:00:00Z"}
SUSPENDED = LANE | {"state": "suspended", "why": "balance exhausted", "api_status": "-3"}


@pytest.mark.parametrize(
    ("lane", "health", "code"),
    [
        (SUSPENDED, "bad", 1),
        (LANE | {"last_success": "2026-11-22T08:00:00Z"}, "good", 0),
        (LANE | {"last_success": None}, "unverified", 0),
    ],
)
@pytest.mark.usefixtures("topology")
def test_what_a_running_worker_tells_of_the_account_is_told(
    healthy: Environ,
    api: Any,  # noqa: ANN401 - see `api`
    lane: dict[str, Any],
    health: str,
    code: int,
) -> None:
    api.lanes = {"default": lane}
    answered = healthy | {"TASKEDIT_OPS_ADDRESS": f"127.0.0.1:{api.port}"}
    ended, checks = examined(answered)
    assert (ended, checks["account default"]["health"]) == (code, health)
    if health == "bad":
        assert "balance exhausted (-3)" in checks["account default"]["says"]


@pytest.mark.usefixtures("topology")
def test_what_nobody_has_seen_is_not_called_good(healthy: Environ, port: int, broker: Node) -> None:
    code, checks = examined(healthy | {"TASKEDIT_OPS_ADDRESS": f"127.0.0.1:{port}"})
    assert code == 0
    assert checks["account default"]["health"] == checks["worker"]["health"] == "unverified"

    taken = healthy | {"TASKEDIT_OPS_ADDRESS": f"127.0.0.1:{broker.port}"}
    code, checks = examined(taken)
    assert (code, bad(checks)) == (78, {"ops address"})


@pytest.mark.parametrize("leads_elsewhere", [False, True])
@pytest.mark.usefixtures("topology")
def test_a_way_that_does_not_lead_to_the_dead_letters_is_found(
    healthy: Environ, channel: BlockingChannel, names: Names, *, leads_elsewhere: bool
) -> None:
    channel.queue_unbind(names.dead, names.dead, "")
    if leads_elsewhere:
        channel.queue_declare(f"{names.dead}.elsewhere", durable=True)
        channel.queue_bind(f"{names.dead}.elsewhere", names.dead, "")
    code, checks = examined(healthy)
    assert (code, bad(checks)) == (1, {"dead letters"})
    assert checks["dead letters"]["mend"] == "taskedit topology apply"


@pytest.mark.usefixtures("topology")
def test_nobody_else_is_given_the_probe(
    healthy: Environ, channel: BlockingChannel, names: Names, broker: Node
) -> None:
    managed = healthy | {"TASKEDIT_MANAGEMENT_URL": broker.management_url}
    others = f"{names.dead}.others"
    channel.queue_declare(others, durable=True)
    channel.queue_bind(others, names.dead, "")
    _, checks = examined(managed)
    assert checks["dead letters"]["health"] == "good"
    assert others in checks["dead letters"]["says"]
    assert channel.queue_declare(others, passive=True).method.message_count == 0

    channel.queue_delete(others)
    channel.basic_consume(names.dead, print)
    _, checks = examined(healthy)
    assert checks["dead letters"]["health"] == "unverified"
    assert "consumes" in checks["dead letters"]["says"]


@pytest.mark.usefixtures("topology")
def test_it_stays_away_while_a_dead_letter_command_is_at_work(
    healthy: Environ, channel: BlockingChannel, names: Names
) -> None:
    channel.queue_declare(names.dead_lock, exclusive=True)
    code, checks = examined(healthy)
    assert (code, checks["dead letters"]["health"]) == (0, "unverified")


@pytest.mark.parametrize(
    ("configure", "write", "read", "lacking"),
    [
        (".*", ".*", "^$", "read"),
        (".*", "^amq[.]default$", ".*", "write to"),
        (".*", "^task-edit.*|^t-.*", ".*", "write to amq.default"),
        ("^$", ".*", ".*", "configure"),
    ],
)
@pytest.mark.usefixtures("topology")
def test_a_missing_permission_is_named_with_the_command_that_grants_it(
    healthy: Environ,
    broker: Node,
    namespace: str,
    *,
    configure: str,
    write: str,
    read: str,
    lacking: str,
) -> None:
    user = f"{broker.management_url}/api/users/{namespace}"
    requests.put(user, json={"password": namespace, "tags": ""}, timeout=10).raise_for_status()
    try:
        granted = {"configure": configure, "write": write, "read": read}
        where = f"{broker.management_url}/api/permissions/%2F/{namespace}"
        requests.put(where, json=granted, timeout=10).raise_for_status()
        url = f"amqp://{namespace}:{namespace}@127.0.0.1:{broker.port}/%2F"
        code, checks = examined(healthy | {"TASKEDIT_AMQP_URL": url})
        assert (code, bad(checks)) == (1, {"permissions"})
        assert f" {lacking}" in checks["permissions"]["says"]
        mend = f"rabbitmqctl set_permissions -p / {namespace} '^("
        assert checks["permissions"]["mend"].startswith(mend)
    finally:
        requests.delete(user, timeout=10)


@pytest.mark.parametrize(
    ("user", "virtual_host", "mend"),
    [
        ("guest:wrong", "%2F", "rabbitmqctl authenticate_user guest"),
        ("guest:guest", "nowhere", "rabbitmqctl add_vhost nowhere"),
    ],
)
def test_why_rabbitmq_refuses_is_told_with_a_way_out(
    healthy: Environ, broker: Node, user: str, virtual_host: str, mend: str
) -> None:
    url = f"amqp://{user}@127.0.0.1:{broker.port}/{virtual_host}"
    code, checks = examined(healthy | {"TASKEDIT_AMQP_URL": url})
    assert (code, bad(checks)) == (69, {"broker"})
    assert checks["broker"]["mend"].startswith(mend)


@pytest.mark.usefixtures("topology")
def test_a_clock_that_is_wrong_is_noted(healthy: Environ, api: type[_Api]) -> None:
    api.date = "Sun, 22 Nov 2020 08:00:00 GMT"
    code, checks = examined(healthy)
    assert (code, checks["clock"]["health"]) == (0, "note")
    assert "ahead of the API's Date" in checks["clock"]["says"]


@pytest.mark.usefixtures("topology")
def test_a_management_api_that_cannot_be_asked_is_noted_and_done_without(
    healthy: Environ, broker: Node, port: int
) -> None:
    right = broker.management_url
    for url in (f"http://127.0.0.1:{port}", right.replace("guest:guest", "guest:a-secret")):
        result = taskedit("doctor", environ=healthy | {"TASKEDIT_MANAGEMENT_URL": url})
        assert result.exit_code == 0
        assert "note        management: " in result.stdout
        assert "unverified  topology: " in result.stdout
        assert "a-secret" not in result.output
