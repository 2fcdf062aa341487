"""An operator's pause: for the whole fleet, and it outlives everything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from pika.exceptions import ChannelClosedByBroker

from tests.acceptance.kit import connected, edit, publish, until
from tests.acceptance.test_failover import in_order

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ops.simulator.control import Simulator
    from tests.acceptance.conftest import NewWorker
    from tests.acceptance.kit import Subscriber, WorkerProcess

    Taskedit = Callable[..., subprocess.CompletedProcess[str]]


pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def taskedit(amqp_url: str, namespace: str) -> Taskedit:
    """Runs a command beside the workers."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "TASKEDIT_AMQP_URL": amqp_url,
            "TASKEDIT_NAMESPACE": namespace,
        }
        return subprocess.run(
            (sys.executable, "-m", "worker", *arguments),
            env=environment,
            capture_output=True,
            text=True,
            timeout=40,
            check=False,
        )

    return run


@pytest.fixture
def replicas(new_worker: NewWorker, events: Subscriber) -> list[WorkerProcess]:
    del events  # declares the exchange before anything is published
    workers = [new_worker(HEARTBEAT="1s", RATE="50/s", HOLD="20s", ready=False) for _ in range(2)]
    for worker in workers:
        worker.ready()
    return workers


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def ready(amqp_url: str, queue: str) -> int:
    with connected(amqp_url) as channel:
        return int(channel.queue_declare(queue, passive=True).method.message_count)


def test_no_call_begins_after_pause_has_returned_and_all_is_applied_after_resume(
    replicas: list[WorkerProcess],
    simulator: Simulator,
    events: Subscriber,
    taskedit: Taskedit,
    amqp_url: str,
    namespace: str,
) -> None:
    ids = publish(
        amqp_url, namespace, [edit(job % 40 + 1, name=f"n{job:04}") for job in range(200)]
    )
    until(lambda: len(simulator.calls()) > 20, what="no calls")
    paused = taskedit("pause", "default", "--why", "an incident")
    calls = len(simulator.calls())
    assert paused.returncode == 0, paused.stderr
    until(lambda: ready(amqp_url, f"{namespace}.lane.default") == 200 - len(events.settled()))
    assert replicas[0].lane()["state"] == replicas[1].lane()["state"] == "paused"

    for worker in replicas:  # whoever serves it next knows the pause
        worker.kill()
        worker.start()
    for worker in replicas:
        worker.ready()
    until(lambda: all(worker.lane()["state"] == "paused" for worker in replicas))
    assert len(simulator.calls()) == calls

    resumed = taskedit("resume", "default")
    assert resumed.returncode == 0, resumed.stderr
    until(lambda: len(events.settled()) == len(ids), within=40)
    assert set(events.settled().values()) == {"applied"}
    in_order(simulator.calls())

    done = lines(taskedit("audit", "--json").stdout)
    assert [(one["action"], one["why"]) for one in done] == [
        ("pause", "an incident"),
        ("resume", None),
    ]
    assert all(one["ended"] and one["result"]["replicas"] and one["user"] for one in done)


def test_a_pause_for_some_seconds_ends_by_itself_while_no_worker_runs(
    new_worker: NewWorker,
    events: Subscriber,
    taskedit: Taskedit,
    amqp_url: str,
    namespace: str,
) -> None:
    paused = taskedit("pause", "default", "--why", "a short one", "--for", "30s")
    assert paused.returncode == 75
    assert "No worker answered" in paused.stderr
    publish(amqp_url, namespace, [edit(1)])
    worker = new_worker()
    assert worker.lane()["state"] == "paused"
    until(lambda: len(events.settled()) == 1, within=60)
    assert worker.lane()["state"] == "running"


def test_lanes_tell_what_the_fleet_does_and_who_paused_an_account(
    replicas: list[WorkerProcess], taskedit: Taskedit
) -> None:
    del replicas
    (lane,) = lines(taskedit("lanes", "--json").stdout)
    assert (lane["account"], lane["state"], lane["rate_allowed"]) == ("default", "running", 50.0)
    taskedit("pause", "default", "--why", "seen by all")
    (lane,) = lines(taskedit("lanes", "--json").stdout)
    assert lane["state"] == "paused"
    assert lane["paused"]["why"] == "seen by all"
    words = taskedit("lanes").stdout
    assert "paused by" in words
    assert "seen by all" in words


def test_a_control_stream_that_is_deleted_is_declared_again_and_obeyed(
    replicas: list[WorkerProcess],
    events: Subscriber,
    taskedit: Taskedit,
    amqp_url: str,
    namespace: str,
) -> None:
    del replicas
    with connected(amqp_url) as channel:
        channel.queue_delete(f"{namespace}.control")
    publish(amqp_url, namespace, [edit(1)])
    until(lambda: len(events.settled()) == 1)
    until(lambda: taskedit("pause", "default", "--why", "in the new one").returncode == 0, 60)
    publish(amqp_url, namespace, [edit(2)], ids="later")
    assert taskedit("resume", "default").returncode == 0
    until(lambda: len(events.settled()) == 2)


def test_the_exchange_for_heartbeats_is_declared_again_when_it_was_deleted(
    replicas: list[WorkerProcess], taskedit: Taskedit, amqp_url: str, namespace: str
) -> None:
    del replicas
    with connected(amqp_url) as channel:
        channel.exchange_delete(f"{namespace}.fleet")

    def exists() -> bool:
        try:
            with connected(amqp_url) as channel:
                channel.exchange_declare(f"{namespace}.fleet", passive=True)
        except ChannelClosedByBroker:
            return False
        return True

    until(exists, 30, "nobody has declared it again")
    assert taskedit("pause", "default", "--why", "heard again").returncode == 0


def test_where_it_was_never_declared_nobody_can_have_paused(
    new_worker: NewWorker, events: Subscriber, amqp_url: str, namespace: str
) -> None:
    with connected(amqp_url) as channel:
        for stream in ("control", "operations"):
            channel.queue_delete(f"{namespace}.{stream}")
    worker = new_worker(DECLARE="false")
    until(lambda: worker.lines("control_missing"))
    publish(amqp_url, namespace, [edit(1)])
    until(lambda: len(events.settled()) == 1)


def test_what_cannot_be_recorded_is_not_done(
    replicas: list[WorkerProcess], taskedit: Taskedit, amqp_url: str, namespace: str
) -> None:
    with connected(amqp_url) as channel:
        channel.queue_delete(f"{namespace}.operations")
    refused = taskedit("pause", "default", "--why", "never written down")
    assert refused.returncode == 69
    assert "operations" in refused.stderr
    assert "paused" not in {worker.lane()["state"] for worker in replicas}


def test_an_account_that_does_not_exist_is_not_paused(
    replicas: list[WorkerProcess], taskedit: Taskedit
) -> None:
    del replicas
    refused = taskedit("pause", "defualt", "--why", "a slip")
    assert refused.returncode == 1
    assert "defualt" in refused.stderr
    assert lines(taskedit("audit", "--json").stdout) == []


def test_who_waits_for_outcomes_of_a_paused_account_is_told_that_it_is_paused(
    replicas: list[WorkerProcess], taskedit: Taskedit, tmp_path: Path
) -> None:
    taskedit("pause", "default", "--why", "INC-1")
    (tmp_path / "edit.json").write_text(json.dumps(edit(1)))
    file = str(tmp_path / "edit.json")
    said = taskedit("publish", file, "--wait", "--timeout", "500ms", "--message-id-prefix", "mine")
    assert said.returncode == 75, said.stderr
    assert "account default is paused" in said.stderr
    assert "INC-1" in said.stderr
    assert "mine1" in said.stderr.splitlines(), "the message id, to send it again"
