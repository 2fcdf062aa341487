"""A message that comes twice is applied once: also across kills and restarts."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.console import Console
from tests.acceptance.kit import connected, edit, publish, until

if TYPE_CHECKING:
    from pathlib import Path

    from ops.simulator.control import Simulator
    from tests.acceptance.conftest import NewWorker
    from tests.acceptance.kit import Subscriber

EDITS, JOBS, KILLS = 500, 50, 4


@pytest.fixture
def console(amqp_url: str, namespace: str, tmp_path: Path) -> Console:
    settings = {"TASKEDIT_AMQP_URL": amqp_url, "TASKEDIT_NAMESPACE": namespace}
    return Console(settings, tmp_path)


def test_500_messages_published_twice_are_applied_once_though_the_worker_is_killed(
    amqp_url: str,
    namespace: str,
    simulator: Simulator,
    new_worker: NewWorker,
    events: Subscriber,
    console: Console,
) -> None:
    """Killed with calls in flight, so after some edit's call and before its ack."""
    simulator.latency("30ms")
    edits = [edit(1 + n % JOBS, name=f"m-{n}") for n in range(EDITS)]
    ids = publish(amqp_url, namespace, edits)
    publish(amqp_url, namespace, edits)
    worker = new_worker(RATE="300/s")
    for kill in range(KILLS):
        until(lambda: len(events.take()) > (kill + 1) * EDITS // (KILLS + 2))  # noqa: B023 (now)
        worker.kill()
        assert len(events.take()) < 2 * EDITS, f"over before kill {kill}: it proves nothing"
        worker.start()
    until(lambda: len(events.take()) >= 2 * EDITS, 40)
    worker.ready()
    until(lambda: worker.lane()["waiting"] == worker.lane()["in_flight"] == 0)
    told = defaultdict(set)
    published = defaultdict(list)
    for line in console.run("history", "--json").stdout.splitlines():
        event = json.loads(line)
        told[event["data"]["messageId"]].add((event["id"], event["data"]["outcome"]))
        published[event["data"]["messageId"]].append(datetime.fromisoformat(event["time"]))
    assert told.keys() == set(ids)
    assert all(len(found) == 1 for found in told.values()), "a repeat had another event"
    assert all(len(found) >= 2 for found in published.values()), "a repeat had no event"
    for call in simulator.calls():
        finished = min(published[str(call.name)]).timestamp()
        assert call.arrived <= finished, f"{call.name} was called again after its event"


def test_what_was_settled_before_a_restart_is_known_after_it(
    amqp_url: str,
    namespace: str,
    simulator: Simulator,
    new_worker: NewWorker,
    events: Subscriber,
) -> None:
    simulator.answer("-33", name="taken")
    edits = [edit(1), edit(2, name="taken"), edit(3, redialTimes=9)]
    first = new_worker()
    publish(amqp_url, namespace, edits)
    until(lambda: len(events.take()) == len(edits))
    first.kill()
    calls = len(simulator.calls())
    publish(amqp_url, namespace, edits)
    publish(amqp_url, namespace, [edit(1, name="another body")], ids="m")
    new_worker()
    until(lambda: len(events.take()) == 2 * len(edits) + 1)
    again = events.take()[len(edits) :]
    assert sorted(event["id"] for event in again if event in events.take()[: len(edits)]) == sorted(
        event["id"] for event in events.take()[: len(edits)]
    )
    assert [call.name for call in simulator.calls()[calls:]] == ["another body"]


def test_without_a_stream_repeats_are_known_as_long_as_the_process_lives(
    amqp_url: str,
    namespace: str,
    simulator: Simulator,
    new_worker: NewWorker,
    events: Subscriber,
) -> None:
    with connected(amqp_url) as channel:
        channel.queue_delete(f"{namespace}.journal")
    worker = new_worker(DECLARE="false")
    [line] = worker.lines("journal_unavailable")
    assert f"{namespace}.journal" in line["why"]
    for count in (1, 2):
        publish(amqp_url, namespace, [edit(1)])
        until(lambda: len(events.take()) == count)  # noqa: B023 (called now)
    assert len(simulator.calls()) == 1
    assert len({event["id"] for event in events.take()}) == 1
    worker.kill()
    worker.start()
    publish(amqp_url, namespace, [edit(1)])
    until(lambda: len(events.take()) == 3)
    assert len(simulator.calls()) == 2
    assert len({event["id"] for event in events.take()}) == 1
