from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

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
    """A provider that answers; by a clock of its own if it is told so."""

    date: str | None = None
    code = 200
    """HTTP's."""
    signed = "-27"
    """The status of a signed request that is no edit."""
    lanes: dict[str, Any] | None = None
    """It is a worker's ops HTTP too if it is told so."""

    def do_GET(self) -> None:
        body = json.dumps(self.lanes).encode()
        self.send_response_only(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        """taskEdit: what it says to a request with or without a signature."""
        self.rfile.read(int(self.headers["Content-Length"]))
        status = self.signed if "Sign" in self.headers else "-59"
        body = json.dumps({"status": status, "reason": "as asked", "data": None}).encode()
        self.send_response_only(self.code)
        self.send_header("Date", self.date or self.date_time_string())
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

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


@pytest.mark.usefixtures("topology")
def test_a_worker_that_could_run_ends_with_0(healthy: Environ, broker: Node) -> None:
    code, checks = examined(healthy)
    assert (code, bad(checks)) == (0, set())
    assert f"RabbitMQ {broker.version}" in checks["broker"]["says"]
    for name in ("settings", "permissions", "api", "clock", "account default"):
        assert checks[name]["health"] == "good", checks[name]
    assert checks["dead letters"]["health"] == "unverified", "AMQP shows no bindings"

    managed = healthy | {"TASKEDIT_MANAGEMENT_URL": broker.management_url}
    code, checks = examined(managed)
    assert (code, bad(checks)) == (0, set())
    assert checks["dead letters"]["health"] == "good"


@pytest.mark.parametrize("code", [404, 405])
@pytest.mark.usefixtures("topology")
def test_a_path_at_which_there_is_no_task_edit_is_bad(
    healthy: Environ, api: type[_Api], code: int
) -> None:
    api.code = code
    ended, checks = examined(healthy)
    assert (ended, bad(checks)) == (1, {"api"})
    assert f"HTTP {code}" in checks["api"]["says"]
    assert checks["account default"]["health"] == "unverified"


@pytest.mark.parametrize("status", ["-1", "-3", "-6"])
@pytest.mark.usefixtures("topology")
def test_credentials_that_the_provider_refuses_are_bad(
    healthy: Environ, api: type[_Api], status: str
) -> None:
    api.signed = status
    ended, checks = examined(healthy)
    assert (ended, bad(checks)) == (1, {"account default"})
    assert status in checks["account default"]["says"]
    assert "a-secret" not in str(checks)


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
def test_no_letter_is_taken_and_none_is_put_there(
    healthy: Environ, channel: BlockingChannel, names: Names, broker: Node
) -> None:
    channel.confirm_delivery()
    for number in range(30):
        channel.basic_publish(names.dead, "", str(number).encode())
    examined(healthy)
    examined(healthy | {"TASKEDIT_MANAGEMENT_URL": broker.management_url})
    for number in range(30):
        method, _, body = channel.basic_get(names.dead, auto_ack=True)
        assert method is not None
        assert (body, method.redelivered) == (str(number).encode(), False)
    assert channel.basic_get(names.dead)[0] is None


LANE = {"state": "running", "why": None, "api_status": None, "since": "2026-11-22T08:00:00Z"}
SUSPENDED = LANE | {"state": "suspended", "why": "balance exhausted", "api_status": "-3"}


@pytest.mark.parametrize(
    ("lane", "health", "code"),
    [
        (SUSPENDED, "bad", 1),
        (LANE | {"last_success": "2026-11-22T08:00:00Z"}, "good", 0),
        (LANE | {"last_success": None}, "good", 0),
        (LANE | {"state": "paused", "why": "INC-1"}, "note", 0),
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
def test_what_nobody_has_seen_is_not_called_good(
    healthy: Environ, api: type[_Api], broker: Node
) -> None:
    api.code = 503
    code, checks = examined(healthy)
    assert code == 0
    assert checks["account default"]["health"] == checks["api"]["health"] == "unverified"
    api.code = 200
    taken = healthy | {"TASKEDIT_OPS_ADDRESS": f"127.0.0.1:{broker.port}"}
    code, checks = examined(taken)
    assert (code, bad(checks)) == (78, {"ops address"})


@pytest.mark.usefixtures("topology")
def test_a_state_folder_that_cannot_be_written_is_bad(healthy: Environ, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, checks = examined(healthy | {"TASKEDIT_STATE_DIR": str(tmp_path / "file" / "inside")})
    assert (code, bad(checks)) == (1, {"state folder"})


@pytest.mark.parametrize("leads_elsewhere", [False, True])
@pytest.mark.usefixtures("topology")
def test_a_way_that_does_not_lead_to_the_dead_letters_is_found(
    healthy: Environ, channel: BlockingChannel, names: Names, broker: Node, *, leads_elsewhere: bool
) -> None:
    managed = healthy | {"TASKEDIT_MANAGEMENT_URL": broker.management_url}
    others = f"{names.dead}.elsewhere"
    if leads_elsewhere:
        channel.queue_declare(others, durable=True)
        channel.queue_bind(others, names.dead, "")
        _, checks = examined(managed)
        assert checks["dead letters"]["health"] == "good"
        assert others in checks["dead letters"]["says"]
    channel.queue_unbind(names.dead, names.dead, "")
    code, checks = examined(managed)
    assert code == 1
    assert "dead letters" in bad(checks)
    assert checks["dead letters"]["mend"] == "taskedit topology apply"


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
