"""A worker killed in the middle: every edit has its event, and each job's calls are in order."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from tests.acceptance.kit import edit, publish, until

if TYPE_CHECKING:
    from ops.simulator.control import Simulator
    from tests.acceptance.conftest import NewWorker
    from tests.acceptance.kit import Subscriber

EDITS, JOBS = 500, 25


def test_a_worker_killed_in_the_middle_of_500_edits_loses_none_and_keeps_order(
    amqp_url: str,
    namespace: str,
    simulator: Simulator,
    new_worker: NewWorker,
    events: Subscriber,
) -> None:
    simulator.latency("20ms")
    worker = new_worker(RATE="120/s")
    edits = [edit(1 + n % JOBS, name=f"{n:04}") for n in range(EDITS)]
    ids = publish(amqp_url, namespace, edits)
    until(lambda: len(events.take()) > EDITS // 4)
    worker.kill()
    assert len(events.take()) < EDITS, "it was over before the kill: the test proves nothing"
    worker.start()
    settled = until(lambda: len(found := events.settled()) == EDITS and found)
    assert settled == dict.fromkeys(ids, "applied")
    by_job = defaultdict(list)
    for call in simulator.calls():
        by_job[call.job].append(str(call.name))
    for names in by_job.values():
        once = list(dict.fromkeys(names))
        assert once == sorted(once), "a later edit of the job overtook an earlier one"
        assert names == sorted(names), "an earlier edit was repeated after a later one"
    ended = defaultdict(set)
    for event in events.take():
        ended[event["data"]["messageId"]].add(event["id"])
    assert all(len(found) == 1 for found in ended.values()), "a repeat had another id"
