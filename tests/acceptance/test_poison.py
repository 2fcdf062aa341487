"""An edit that ends the process is found among its neighbours; deploys are blamed on none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.acceptance.hooked import DEADLY
from tests.acceptance.kit import edit, letters, publish, until

if TYPE_CHECKING:
    from ops.simulator.control import Simulator
    from tests.acceptance.conftest import NewWorker
    from tests.acceptance.kit import Subscriber, WorkerProcess

GOOD = 500
ENDS_AT_MOST = 8
"""Two deaths in company, three alone, and a few that its window's first delivery costs."""


def supervised(worker: WorkerProcess) -> int:
    """Start it again if it has ended, as a supervisor does; 1 if it had."""
    assert worker.process is not None
    if worker.process.poll() is None:
        return 0
    worker.start()
    return 1


@pytest.mark.timeout(300)  # up to eight starts, which take their time on a busy machine
def test_an_edit_that_ends_the_process_is_dead_lettered_and_500_good_ones_are_applied(
    amqp_url: str, namespace: str, new_worker: NewWorker, events: Subscriber
) -> None:
    edits = [edit(1 + n % 40) for n in range(GOOD)]
    edits.insert(GOOD // 2, edit(17, name=f"{DEADLY} one"))
    worker = new_worker(ready=False, RATE="500/s")
    worker.kill()
    worker.arguments = ("-m", "tests.acceptance.hooked")
    worker.start()
    ids = publish(amqp_url, namespace, edits)
    ends = 0

    def over() -> bool:
        nonlocal ends
        ends += supervised(worker)
        assert ends <= ENDS_AT_MOST, "it is not found"
        return len(events.settled()) == len(ids)

    until(over, 150)
    rejected = [event for event in events.events if event["data"]["outcome"] == "rejected"]
    assert {event["data"]["messageId"] for event in rejected} == {ids[GOOD // 2]}
    assert rejected[0]["data"]["reason"] == "poison"
    assert [headers["taskedit-reason"] for headers, _ in letters(amqp_url, namespace)] == ["poison"]


def test_three_deploys_by_sigkill_during_slow_calls_bury_nothing(
    amqp_url: str,
    namespace: str,
    simulator: Simulator,
    new_worker: NewWorker,
    events: Subscriber,
) -> None:
    slow = simulator.latency("20s")
    worker = new_worker()
    ids = publish(amqp_url, namespace, [edit(1 + n) for n in range(20)])
    for turn in range(3):
        until(lambda: worker.lane()["in_flight"] == 16, what=f"no full house in turn {turn}")
        worker.kill()
        worker.start()
        worker.ready()
    simulator.drop(slow)
    worker.kill()  # the fourth deploy: what it was calling hangs for long still
    worker.start()
    until(lambda: events.settled() == dict.fromkeys(ids, "applied"), 30)
    assert not letters(amqp_url, namespace)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_16_kills_in_a_row_during_slow_calls_bury_nobody(
    amqp_url: str,
    namespace: str,
    simulator: Simulator,
    new_worker: NewWorker,
    events: Subscriber,
) -> None:
    """As by an out-of-memory killer: whoever is being called has nothing to do with it."""
    slow = simulator.latency("3s")
    worker = new_worker()
    ids = publish(amqp_url, namespace, [edit(1 + n) for n in range(20)])
    for turn in range(16):
        until(lambda: worker.lane()["in_flight"] > 0, 60, f"nothing is called in turn {turn}")
        worker.kill()
        worker.start()
        worker.ready(60)
    simulator.drop(slow)
    until(lambda: events.settled() == dict.fromkeys(ids, "applied"), 120)
    assert not letters(amqp_url, namespace)
