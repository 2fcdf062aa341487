"""A real Prometheus watches a real worker: each alert fires where it should, and only there.

The rules are those that are shipped, with every duration in them divided by `HASTE`.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Protocol

import pytest

from ops.rabbitmq.node import Node
from ops.rabbitmq.ports import free_port
from tests.acceptance.kit import KEY, SECRET, connected, edit, publish, until
from tests.acceptance.prometheus import Prometheus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops.simulator.control import Simulator
    from tests.acceptance.conftest import NewWorker
    from tests.acceptance.kit import WorkerProcess

HASTE = 60
"""Five minutes are five seconds."""
OURS = "https://runbooks.example/task-edit"
"""The external label that names our copy of the runbook."""
PLUGINS = ("rabbitmq_management", "rabbitmq_prometheus")
QUEUES = "/metrics/detailed?family=queue_coarse_metrics"
DASHBOARDS = sorted(Path("ops/grafana/dashboards").glob("*.json"))

pytestmark = [pytest.mark.xdist_group("monitoring"), pytest.mark.broker]


class Watch(Protocol):
    """Starts a Prometheus that scrapes the worker, and RabbitMQ."""

    def __call__(self, worker: WorkerProcess, haste: int = HASTE) -> Prometheus: ...


@pytest.fixture(scope="module")
def node(
    broker_root: Path | None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Node, int]]:
    """A RabbitMQ that tells Prometheus of its queues, and the port where it does."""
    port = free_port()
    config = f"prometheus.tcp.ip = 127.0.0.1\nprometheus.tcp.port = {port}\n"
    folder = tmp_path_factory.mktemp("rabbitmq")
    with Node(folder, config=config, plugins=PLUGINS, root=broker_root) as started:
        yield started, port


@pytest.fixture
def amqp_url(node: tuple[Node, int]) -> str:
    """Where the module's own RabbitMQ is."""
    return node[0].amqp_url


@pytest.fixture
def namespace(node: tuple[Node, int], request: pytest.FixtureRequest) -> str:
    """The RabbitMQ is our own, so a name for each test is enough."""
    return re.sub(r"\W+", "-", request.node.name)[:60]


@pytest.fixture
def watch(node: tuple[Node, int], tmp_path: Path) -> Iterator[Watch]:
    with ExitStack() as stack:

        def started(worker: WorkerProcess, haste: int = HASTE) -> Prometheus:
            folder = tmp_path / "prometheus"
            folder.mkdir()
            targets = {"taskedit": (worker.port, "/metrics"), "rabbitmq": (node[1], QUEUES)}
            prometheus = stack.enter_context(Prometheus(folder, targets, haste, OURS))
            prometheus.watch()
            return prometheus

        yield started


def expressions(dashboard: Path) -> list[str]:
    """Every expression of a dashboard, its variables filled in."""
    panels = json.loads(dashboard.read_text())["panels"]
    found = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    return [
        expression.replace("$__rate_interval", "10s").replace("$account", "default")
        for expression in found
    ]


def taskedit(*arguments: str, settings: dict[str, str]) -> None:
    """Run a command beside the worker; fails if it does."""
    command = (sys.executable, "-m", "worker", *arguments)
    environment = {"PATH": os.environ["PATH"], **settings}
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=40)


def _scraped_twice_since(prometheus: Prometheus, seen: int) -> bool:
    return prometheus.scrapes("taskedit") > seen + 1


def test_load_suspension_and_recovery(
    amqp_url: str, namespace: str, simulator: Simulator, new_worker: NewWorker, watch: Watch
) -> None:
    """The short story: a backlog at the full rate, a suspension, and every panel has data."""
    simulator.latency("20ms")
    worker = new_worker(RATE="40/s")
    prometheus = watch(worker)
    publish(amqp_url, namespace, [edit(1 + n) for n in range(400)])
    publish(amqp_url, namespace, [edit(1, redialTimes=9)], ids="bad")
    used = "max_over_time(taskedit:rate_used:ratio_rate5m[1h])"
    until(lambda: (prometheus.number(used) or 0) > 0.9)
    until(lambda: "TaskeditDeadLettersGrowing" in prometheus.firing())
    simulator.state("balance_gone")
    until(lambda: "TaskeditAccountSuspended" in prometheus.firing(), 30)
    [cause] = [
        one["annotations"]["cause"]
        for one in prometheus.alerts()
        if one["labels"]["alertname"] == "TaskeditAccountSuspended"
    ]
    assert cause.startswith("Status -3, the API answered -3 (balance exhausted).")
    simulator.state("running")
    until(lambda: prometheus.query("taskedit:critical_time_seconds:p95_rate5m >= 0"))
    silent = {
        expression
        for dashboard in DASHBOARDS
        for expression in expressions(dashboard)
        if not prometheus.query(expression)
    }
    assert silent == set(), "these panels would be empty"
    until(lambda: worker.lane()["held"] == 0, 30)
    until(lambda: prometheus.firing() == set(), 30)
    assert prometheus.fired() == {"TaskeditAccountSuspended", "TaskeditDeadLettersGrowing"}


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_long_backlog_that_drains_at_the_full_rate_wakes_nobody(
    amqp_url: str, namespace: str, new_worker: NewWorker, watch: Watch
) -> None:
    worker = new_worker(RATE="20/s")
    prometheus = watch(worker)
    publish(amqp_url, namespace, [edit(1 + n) for n in range(900)], timestamp=int(time()))
    late = "taskedit:critical_time_seconds:p95_rate5m > 15"
    until(lambda: prometheus.query(late), 60)
    until(lambda: worker.lane()["held"] == 0, 90)
    settled = prometheus.scrapes("taskedit")
    until(lambda: prometheus.scrapes("taskedit") > settled + 30, 40)
    assert prometheus.fired() == set()


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_edits_that_are_late_because_the_api_throttles(
    amqp_url: str, namespace: str, simulator: Simulator, new_worker: NewWorker, watch: Watch
) -> None:
    worker = new_worker(RATE="100/s")
    prometheus = watch(worker)
    publish(amqp_url, namespace, [edit(1 + n) for n in range(50)])
    until(lambda: worker.lane()["held"] == 0)
    simulator.fault("http", code=429, retry_after="40", times=1)
    publish(amqp_url, namespace, [edit(1 + n) for n in range(50)], ids="later")
    until(lambda: worker.lane()["state"] == "throttled")
    until(lambda: "TaskeditEditsAgeing" in prometheus.firing(), 40)
    until(lambda: worker.lane()["held"] == 0, 60)
    until(lambda: prometheus.firing() == set(), 60)
    assert prometheus.fired() == {"TaskeditEditsAgeing"}


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_rate_that_is_not_used(
    amqp_url: str, namespace: str, simulator: Simulator, new_worker: NewWorker, watch: Watch
) -> None:
    simulator.latency("300ms")
    worker = new_worker(RATE="100/s", CONCURRENCY="2")
    prometheus = watch(worker)
    publish(amqp_url, namespace, [edit(1 + n) for n in range(180)])
    until(lambda: "TaskeditRateNotUsed" in prometheus.firing(), 40)
    simulator.latency("0ms")
    until(lambda: worker.lane()["held"] == 0, 60)
    until(lambda: prometheus.firing() == set(), 60)
    assert prometheus.fired() == {"TaskeditRateNotUsed"}


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_bad_release_of_a_publisher(
    amqp_url: str, namespace: str, new_worker: NewWorker, watch: Watch
) -> None:
    prometheus = watch(new_worker(RATE="100/s"))
    publish(amqp_url, namespace, [edit(1 + n) for n in range(30)])
    bad = [edit(1 + n, mode="SOMETIMES") for n in range(60)]
    publish(amqp_url, namespace, bad, ids="bad")
    expected = {"TaskeditMostEditsRejected", "TaskeditDeadLettersGrowing"}
    until(lambda: prometheus.firing() == expected, 40)
    until(lambda: prometheus.firing() == set(), 60)
    assert prometheus.fired() == expected


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_clocks_that_differ(
    amqp_url: str, namespace: str, simulator: Simulator, new_worker: NewWorker, watch: Watch
) -> None:
    simulator.settings(clock_offset="90s")
    worker = new_worker()
    prometheus = watch(worker)
    publish(amqp_url, namespace, [edit(1)])
    until(lambda: "TaskeditClockSkew" in prometheus.firing(), 30)
    simulator.settings(clock_offset="0s")
    publish(amqp_url, namespace, [edit(2)], ids="next")
    until(lambda: worker.lane()["edits"] == {"applied": 2})
    until(lambda: prometheus.firing() == set(), 30)
    assert prometheus.fired() == {"TaskeditClockSkew"}


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_worker_that_starts_again_and_again_and_then_no_more(
    new_worker: NewWorker, watch: Watch
) -> None:
    worker = new_worker()
    prometheus = watch(worker, haste=15)
    for _ in range(3):
        seen = prometheus.scrapes("taskedit")
        until(partial(_scraped_twice_since, prometheus, seen))
        worker.kill()
        worker.start()
        worker.ready()
    until(lambda: "TaskeditCrashLooping" in prometheus.firing(), 20)
    assert prometheus.fired() == {"TaskeditCrashLooping"}
    worker.kill()
    until(lambda: "TaskeditNotConsuming" in prometheus.firing(), 30)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_broker_that_takes_no_publications(
    amqp_url: str,
    namespace: str,
    node: tuple[Node, int],
    new_worker: NewWorker,
    watch: Watch,
) -> None:
    worker = new_worker(RATE="20/s")
    prometheus = watch(worker)
    publish(amqp_url, namespace, [edit(1 + n) for n in range(100)])
    node[0].ctl("set_vm_memory_high_watermark", "absolute", "1MB")
    try:
        until(lambda: "TaskeditBrokerBlocked" in prometheus.firing(), 40)
    finally:
        node[0].ctl("set_vm_memory_high_watermark", "absolute", "1GB")
    until(lambda: worker.lane()["edits"] == {"applied": 100}, 40)
    until(lambda: prometheus.firing() == set(), 40)
    assert prometheus.fired() == {"TaskeditBrokerBlocked"}


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_queues_that_refuse_events_and_dead_letters(
    amqp_url: str, namespace: str, new_worker: NewWorker, watch: Watch
) -> None:
    worker = new_worker()
    prometheus = watch(worker)
    full = {"x-max-length": 1, "x-overflow": "reject-publish"}
    with connected(amqp_url) as channel:
        channel.queue_declare(f"{namespace}.full", arguments=full)
        channel.queue_bind(f"{namespace}.full", f"{namespace}.events", "#")
        publish(amqp_url, namespace, [edit(1 + n) for n in range(5)])
        until(lambda: "TaskeditEventsRefused" in prometheus.firing(), 40)
        channel.queue_unbind(f"{namespace}.full", f"{namespace}.events", "#")
        until(lambda: prometheus.firing() == set(), 40)
        assert prometheus.fired() == {"TaskeditEventsRefused"}
        channel.queue_bind(f"{namespace}.full", f"{namespace}.dead")
        publish(amqp_url, namespace, [edit(1, redialTimes=9)], ids="bad")
        until(lambda: "TaskeditDeadLettersRefused" in prometheus.firing(), 40)
        channel.queue_delete(f"{namespace}.full")
    until(lambda: worker.lane()["edits"] == {"applied": 5, "invalid": 1}, 20)
    until(lambda: prometheus.firing() == set(), 40)
    others = {"TaskeditDeadLettersRefused", "TaskeditDeadLettersGrowing"}
    assert prometheus.fired() == {"TaskeditEventsRefused", *others}


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_settings_that_cannot_be_used(new_worker: NewWorker, watch: Watch, tmp_path: Path) -> None:
    accounts = tmp_path / "accounts.toml"
    good = f'[accounts.acme]\napi_key = "{KEY}"\napi_secret = "{SECRET}"\n'
    accounts.write_text(good)
    worker = new_worker(ACCOUNTS_FILE=str(accounts), API_KEY="", API_SECRET="")
    prometheus = watch(worker)
    accounts.write_text(good + 'rate = "fast"\n')
    worker.signal(signal.SIGHUP)
    until(lambda: "TaskeditSettingsRefused" in prometheus.firing(), 20)
    accounts.write_text(good + 'rate = "5/s"\n')
    worker.signal(signal.SIGHUP)
    until(lambda: prometheus.firing() == set(), 20)
    assert prometheus.fired() == {"TaskeditSettingsRefused"}


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_quarter_of_the_calls_is_throttled_though_the_lane_goes_on_each_time(
    amqp_url: str, namespace: str, simulator: Simulator, new_worker: NewWorker, watch: Watch
) -> None:
    worker = new_worker(RATE="50/s")
    prometheus = watch(worker)
    simulator.fault("http", code=429, retry_after="1", share=0.25)
    publish(amqp_url, namespace, [edit(1 + n) for n in range(400)])
    until(lambda: "TaskeditCallsThrottled" in prometheus.firing(), 60)
    [alert] = [
        each
        for each in prometheus.alerts()
        if each["labels"]["alertname"] == "TaskeditCallsThrottled"
    ]
    assert alert["labels"]["status"] == "http:429"
    assert re.match(r"The API answers [\d.]+% of the calls", alert["annotations"]["summary"])
    simulator.clear()
    until(lambda: worker.lane()["held"] == 0, 60)
    until(lambda: prometheus.firing() == set(), 60)
    some_waited_long = {"TaskeditEditsAgeing"}  # as they do on a slow machine
    assert prometheus.fired() - some_waited_long == {"TaskeditCallsThrottled"}


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_an_account_that_stays_paused(
    amqp_url: str, namespace: str, new_worker: NewWorker, watch: Watch
) -> None:
    settings = {"TASKEDIT_AMQP_URL": amqp_url, "TASKEDIT_NAMESPACE": namespace}
    worker = new_worker(HEARTBEAT="1s")
    prometheus = watch(worker, haste=3600)
    taskedit("pause", "default", "--why", "INC-1", settings=settings)
    publish(amqp_url, namespace, [edit(1 + n) for n in range(20)])
    until(lambda: worker.lane()["state"] == "paused")
    until(lambda: "TaskeditAccountPaused" in prometheus.firing(), 40)
    taskedit("resume", "default", settings=settings)
    until(lambda: worker.lane()["edits"] == {"applied": 20})
    until(lambda: prometheus.firing() == set(), 20)
    assert prometheus.fired() == {"TaskeditAccountPaused"}


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_lane_that_no_account_owns_any_more_and_notes_that_are_lost(
    amqp_url: str, namespace: str, new_worker: NewWorker, watch: Watch, tmp_path: Path
) -> None:
    table = '[accounts.{}]\napi_key = "{}"\napi_secret = "{}"\napp_ids = ["{}"]\n'
    kept, gone = table.format("kept", KEY, SECRET, "k"), table.format("gone", "other", "s", "g")
    accounts = tmp_path / "accounts.toml"
    accounts.write_text(kept + gone)
    (tmp_path / "file").touch()
    worker = new_worker(
        ACCOUNTS_FILE=str(accounts), API_KEY="", API_SECRET="", STATE_DIR=f"{tmp_path}/file/state"
    )
    prometheus = watch(worker)
    until(lambda: prometheus.firing() == {"TaskeditStateFolderUnusable"}, 30)
    accounts.write_text(kept)
    worker.signal(signal.SIGHUP)
    until(lambda: "TaskeditLaneLeftOver" in prometheus.firing(), 60)
    told = {one["labels"]["alertname"]: one["annotations"] for one in prometheus.alerts()}
    summary = "Lane gone in RabbitMQ belongs to no account, and 0 edits are in it"
    assert told["TaskeditLaneLeftOver"]["summary"] == summary
    runbook = f"{OURS}#taskeditlaneleftover"
    assert told["TaskeditLaneLeftOver"]["runbook_url"] == runbook
    accounts.write_text(kept + gone)
    worker.signal(signal.SIGHUP)
    until(lambda: prometheus.firing() == {"TaskeditStateFolderUnusable"}, 60)
