"""The publisher kits in ops/kits: each by itself, against a real RabbitMQ and a real worker."""

from __future__ import annotations

import ast
import json
import os
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ops.programs import AMQP_FOR_GO, AMQP_FOR_PHP, ensure
from ops.rabbitmq.install import AbsentError
from ops.rabbitmq.ports import free_port
from ops.simulator.control import Simulator
from tests import npm
from tests.acceptance.kit import KEY, SECRET, WorkerProcess, connected, edit, letters, publish
from tests.conftest import sweep

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ops.rabbitmq.node import Node

KITS = Path(__file__).parents[2] / "ops" / "kits"
PYTHON, NODE, SHELL, PIKA, KOMBU = "python", "node", "shell", "pika", "kombu"
GO, PHP = "go", "php"
COMMANDS = {
    PYTHON: (sys.executable, KITS / "python" / "publish_edit.py"),
    NODE: ("node", KITS / "node" / "publish-edit.mjs"),
    PIKA: (sys.executable, KITS / "pika" / "publish_edit.py"),
    KOMBU: (sys.executable, KITS / "kombu" / "publish_edit.py"),
    SHELL: ("sh", KITS / "shell" / "publish-edit.sh"),
    PHP: ("php", KITS / "php" / "publish-edit.php"),
    GO: (Path("build", "kits", "publish-edit").resolve(),),
}
UNCHECKED = (PIKA, KOMBU, PHP, GO)
"""The worker checks for them."""
SHORT = {"--by": "-b", "--timeout": "-t", "--message-id": "-i"}
JOBS = count(1)
APPLIED, REJECTED, MISUSED, ABSENT, LATE = 0, 1, 2, 69, 75

# One pytest process for all, since they share a worker.
pytestmark = [pytest.mark.xdist_group("kits"), pytest.mark.timeout(npm.INSTALL_SECONDS + 60)]


@dataclass(frozen=True)
class Station:
    """A namespace with a worker and a simulated API."""

    node: Node
    namespace: str
    simulator: Simulator
    worker: WorkerProcess

    @property
    def settings(self) -> dict[str, str]:
        """What a kit reads from its environment."""
        return {
            "TASKEDIT_AMQP_URL": self.node.amqp_url,
            "TASKEDIT_MANAGEMENT_URL": self.node.management_url,
            "TASKEDIT_NAMESPACE": self.namespace,
        }

    def applied(self, job: int) -> int:
        """How often the API was asked to edit the job, and did."""
        return sum(call.job == job and call.applied for call in self.simulator.calls())

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """The worker stands still."""
        self.worker.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.worker.signal(signal.SIGCONT)


@dataclass(frozen=True)
class Run:
    """How a kit ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def event(self) -> dict[str, Any]:
        """The event's data; fails where there is none."""
        found: dict[str, Any] = json.loads(self.out)["data"]
        return found


@contextmanager
def serving(broker: Node, folder: Path, app_ids: str = "") -> Iterator[Station]:
    namespace = f"t-{secrets.token_hex(4)}"
    with Simulator("--account", f"{KEY}:{SECRET}", "--rate", "100000/s") as simulator:
        settings = {
            "TASKEDIT_AMQP_URL": broker.amqp_url,
            "TASKEDIT_NAMESPACE": namespace,
            "TASKEDIT_API_URL": simulator.url,
            "TASKEDIT_API_KEY": KEY,
            "TASKEDIT_API_SECRET": SECRET,
            "TASKEDIT_APP_IDS": app_ids,
            "TASKEDIT_RATE": "1000/s",
        }
        with WorkerProcess(folder, settings) as worker:
            worker.ready()
            yield Station(broker, namespace, simulator, worker)
    sweep(broker, namespace)


@pytest.fixture(scope="module")
def station(broker: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    """One that takes every appId."""
    with serving(broker, tmp_path_factory.mktemp("worker")) as serves:
        yield serves


@pytest.fixture(scope="module")
def strict(broker: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    """One that takes a single appId."""
    with serving(broker, tmp_path_factory.mktemp("strict"), app_ids="acme-app") as serves:
        yield serves


@pytest.fixture(params=COMMANDS)
def kit(request: pytest.FixtureRequest) -> str:
    """Each of the kits, its needs met."""
    name: str = request.param
    if name == NODE:
        npm.install(KITS / "node")
    if name == SHELL and shutil.which("curl") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("curl is absent")
    if name == PHP:
        had("php", AMQP_FOR_PHP)
    if name == GO:
        had("go", AMQP_FOR_GO)
        build_go()
    return name


def had(*programs: str) -> None:
    """See that they are there, installed if that may be done; else skip, and fail in CI."""
    try:
        for program in programs:
            ensure(program)
    except AbsentError as absent:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(absent))


def build_go() -> None:
    """Build the kit with Debian's library, without modules: those come from the network."""
    [target] = COMMANDS[GO]
    environment = {**os.environ, "GO111MODULE": "off", "GOPATH": AMQP_FOR_GO.partition("/src/")[0]}
    subprocess.run(
        ("go", "build", "-o", target, "publish_edit.go"),
        cwd=KITS / "go",
        env=environment,
        check=True,
        timeout=npm.INSTALL_SECONDS,
    )


@pytest.fixture
def job() -> int:
    """A job that no other test has: the simulator keeps what one of them asked for its job."""
    return next(JOBS)


def run(kit: str, settings: Mapping[str, str], body: Mapping[str, Any] | str, *options: str) -> Run:
    """Run a kit with an edit on its stdin; it can find the command taskedit."""
    if kit == SHELL:
        options = tuple(SHORT.get(each, each) for each in options)
    done = subprocess.run(
        [*COMMANDS[kit], *options, "-"],
        input=body if isinstance(body, str) else json.dumps(body, indent=2),
        env={"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return Run(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("by", ["events", "reply"])
def test_an_applied_edit_is_told_among_others_of_its_job(
    kit: str, by: str, station: Station, job: int
) -> None:
    station.simulator.latency("300ms", job=job)
    publish(station.node.amqp_url, station.namespace, [edit(job)], ids=f"another-of-{job}")

    told = run(kit, station.settings, edit(job, name="mine"), "--by", by)

    assert (told.code, told.err) == (APPLIED, "")
    assert (told.event["outcome"], told.event["jobId"]) == ("applied", job)
    assert not told.event["messageId"].startswith("another")
    assert station.applied(job) == 2


@pytest.mark.parametrize("by", ["events", "reply"])
def test_a_rejected_edit_is_told_with_its_reason(
    kit: str, by: str, station: Station, job: int
) -> None:
    station.simulator.answer("-33", job=job)

    told = run(kit, station.settings, edit(job), "--by", by, "--message-id", f"mine-{job}")

    assert (told.code, told.err) == (REJECTED, "")
    assert (told.event["reason"], told.event["apiStatus"]) == ("api_rejected", "-33")
    assert told.event["messageId"] == f"mine-{job}"
    [(headers, body)] = letters(station.node.amqp_url, station.namespace)
    assert headers["taskedit-event-id"] == json.loads(told.out)["id"]
    assert json.loads(body) == edit(job)


def test_a_bad_edit_is_not_sent(kit: str, station: Station, job: int) -> None:
    bad = run(kit, station.settings, edit(job, redialTimes=4), "--message-id", f"m-{job}")
    torn = run(kit, station.settings, '{"jobId": ', "--message-id", f"m-{job}")
    nameless = run(kit, station.settings, edit(job, appId=None), "--message-id", f"m-{job}")

    assert [bad.code, torn.code, nameless.code] == [REJECTED] * 3
    if kit in UNCHECKED:
        assert [torn.out, nameless.out] == ["", ""]
        assert "Not sent" in torn.err
        assert bad.event["fields"][0]["field"] == "redialTimes"
        letters(station.node.amqp_url, station.namespace)
        return
    assert [bad.out, torn.out, nameless.out] == [""] * 3
    assert "redialTimes" in bad.err
    assert "appId" in nameless.err
    assert all("Not sent" in each.err for each in (bad, torn, nameless))
    # Had one of them been sent, it would come before this one.
    assert run(kit, station.settings, edit(job)).code == APPLIED
    assert station.applied(job) == 1
    assert letters(station.node.amqp_url, station.namespace) == []


def test_an_edit_published_again_after_no_outcome_is_applied_once(
    kit: str, station: Station, job: int
) -> None:
    again = ("--message-id", f"again-{job}")
    with station.frozen():
        late = run(kit, station.settings, edit(job), "--timeout", "2", *again)

    assert (late.code, late.out) == (LATE, "")
    assert f"again-{job}" in late.err
    first, second = (run(kit, station.settings, edit(job), *again) for _ in range(2))
    assert (first.code, second.code) == (APPLIED, APPLIED)
    assert json.loads(first.out)["id"] == json.loads(second.out)["id"]
    assert station.applied(job) == 1


def test_an_app_id_that_is_no_word_of_a_routing_key_works_too(
    kit: str, station: Station, job: int
) -> None:
    told = run(kit, station.settings, edit(job, appId="Ä.b*"))

    assert (told.code, told.err) == (APPLIED, "")
    assert told.event["appId"] == "Ä.b*"


def test_where_rabbitmq_is_absent_that_is_said(kit: str, station: Station) -> None:
    nobody = {
        "TASKEDIT_AMQP_URL": f"amqp://guest:hush-hush@127.0.0.1:{free_port()}/%2F",
        "TASKEDIT_MANAGEMENT_URL": f"http://guest:hush-hush@127.0.0.1:{free_port()}",
    }

    told = run(kit, station.settings | nobody, edit())

    assert (told.code, told.out) == (ABSENT, "")
    assert "RabbitMQ" in told.err
    assert "hush-hush" not in told.err


def test_where_rabbitmq_says_nothing_nobody_waits_for_ever(kit: str, station: Station) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        mute = {
            "TASKEDIT_AMQP_URL": f"amqp://guest:guest@127.0.0.1:{port}/%2F",
            "TASKEDIT_MANAGEMENT_URL": f"http://guest:guest@127.0.0.1:{port}",
        }

        told = run(kit, station.settings | mute, edit(), "--timeout", "1", "--message-id", "m-1")

    assert (told.code, told.out) == (LATE, "")
    assert "m-1" in told.err


def test_where_no_worker_was_ever_that_is_said(kit: str, station: Station) -> None:
    for by in ("events", "reply"):
        settings = station.settings | {"TASKEDIT_NAMESPACE": f"{station.namespace}-not"}

        told = run(kit, settings, edit(), "--by", by)

        assert (told.code, told.out) == (ABSENT, ""), told.err
        assert told.err.count("\n") == 1


def test_what_rabbitmq_refuses_or_cannot_route_was_not_published(
    kit: str, station: Station
) -> None:
    namespace = f"{station.namespace}-full"
    settings = station.settings | {"TASKEDIT_NAMESPACE": namespace}
    full = {"x-max-length": 1, "x-overflow": "reject-publish"}
    with connected(station.node.amqp_url) as channel:
        for name in (namespace, f"{namespace}.events"):
            channel.exchange_declare(name, "topic", auto_delete=False, durable=True)
        unrouted = run(kit, settings, edit())
        queue = channel.queue_declare("", exclusive=True, arguments=full).method.queue
        channel.queue_bind(queue, namespace, "#")
        channel.confirm_delivery()
        channel.basic_publish(namespace, "any", b"")
        refused = run(kit, settings, edit())
        for name in (namespace, f"{namespace}.events"):
            channel.exchange_delete(name)

    assert (unrouted.code, unrouted.out) == (ABSENT, "")
    assert "Not routed" in unrouted.err
    assert (refused.code, refused.out) == (LATE, "")
    assert "refused" in refused.err


def test_a_wrong_command_line_is_told_apart_from_a_rejection(kit: str, station: Station) -> None:
    assert run(kit, station.settings, edit(), "--by", "hope").code == MISUSED
    missing = subprocess.run(
        [*COMMANDS[kit], "no-such-file"], capture_output=True, check=False, timeout=60
    )
    assert missing.returncode == MISUSED


def test_the_shell_kit_needs_no_taskedit_and_shows_no_password_and_leaves_nothing(
    station: Station, job: int, tmp_path: Path
) -> None:
    curl = shutil.which("curl")
    shim = tmp_path / "curl"
    shim.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >>{tmp_path}/arguments\nexec {curl} "$@"\n')
    shim.chmod(shim.stat().st_mode | stat.S_IXUSR)
    folders = [
        each for each in os.environ["PATH"].split(":") if not Path(each, "taskedit").exists()
    ]
    settings = station.settings | {"PATH": ":".join([str(tmp_path), *folders])}

    malformed = run(SHELL, settings, '{"appId": "acme-app", "jobId": 1, "jobId": 1}')

    assert malformed.code == REJECTED
    assert malformed.event["reason"] == "malformed"
    letters(station.node.amqp_url, station.namespace)
    arguments = (tmp_path / "arguments").read_text()
    assert "--config -" in arguments
    assert "guest" not in arguments
    assert not [name for name in queues(station) if name.startswith("outcome-of-")]


@pytest.mark.parametrize(
    ("kit", "needs"),
    [(PYTHON, {"schemas", "pika"}), (PIKA, {"pika"}), (KOMBU, {"kombu", "amqp"})],
)
def test_a_python_kit_needs_no_more_than_it_says(kit: str, needs: set[str]) -> None:
    tree = ast.parse((KITS / kit / "publish_edit.py").read_text(encoding="utf-8"))
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [each.name for each in node.names]
            if isinstance(node, ast.Import)
            else []
        )
    }

    assert imported - sys.stdlib_module_names == needs


@pytest.mark.parametrize("by", ["events", "reply"])
def test_a_misspelt_app_id_is_heard_of(kit: str, by: str, strict: Station, job: int) -> None:
    told = run(kit, strict.settings, edit(job, appId="acme-ap"), "--by", by)

    assert (told.code, told.err) == (REJECTED, "")
    assert (told.event["reason"], told.event["appId"]) == ("unknown_app", "acme-ap")
    letters(strict.node.amqp_url, strict.namespace)


@pytest.mark.parametrize("kit", UNCHECKED, indirect=True)
def test_an_edit_that_cannot_be_read_is_heard_of_without_reply_to(
    kit: str, station: Station, job: int
) -> None:
    twice = f'{{"appId": "acme-app", "jobId": {job}, "jobId": {job}}}'

    told = run(kit, station.settings, twice, "--timeout", "20")

    assert told.code == REJECTED, told.err
    assert (told.event["reason"], told.event["appId"]) == ("malformed", None)
    letters(station.node.amqp_url, station.namespace)


def queues(station: Station) -> list[str]:
    """What queues RabbitMQ has."""
    answered = subprocess.run(
        ["curl", "--silent", "--fail", f"{station.node.management_url}/api/queues?columns=name"],
        capture_output=True,
        check=True,
        timeout=60,
    )
    return [each["name"] for each in json.loads(answered.stdout)]
