"""A backlog of edits that newer ones overtake costs few calls, and ends as if all were made."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.kit import edit, letters, publish, until

if TYPE_CHECKING:
    from ops.simulator.control import Simulator
    from tests.acceptance.conftest import NewWorker
    from tests.acceptance.kit import Subscriber

JOBS, EACH, RATE = 40, 50, 20
EDITS = JOBS * EACH
CALLS_AT_MOST = 450
REFUSED = "refused"
WITHIN = 120.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def name(number: int, *, some_refused: bool) -> str:
    """What the edit of that number sets; of each job every tenth is one that the API refuses."""
    refused = some_refused and number // JOBS % 10 == 9
    return f"{number:04}-{REFUSED}" if refused else f"{number:04}"


@pytest.mark.parametrize(
    ("some_refused", "kills"),
    [(False, 0), (True, 0), (True, 10)],
    ids=["suspended", "a tenth refused", "killed ten times"],
)
def test_2000_edits_of_40_jobs_end_as_if_each_had_been_called_in_order(
    amqp_url: str,
    namespace: str,
    simulator: Simulator,
    new_worker: NewWorker,
    events: Subscriber,
    *,
    some_refused: bool,
    kills: int,
) -> None:
    balance_gone = simulator.answer("-3")
    worker = new_worker(RATE=f"{RATE}/s", COALESCE="true")
    names = [name(number, some_refused=some_refused) for number in range(EDITS)]
    edits = [edit(1 + number % JOBS, name=names[number]) for number in range(EDITS)]
    ids = publish(amqp_url, namespace, edits)
    until(lambda: worker.lane()["state"] == "suspended")
    simulator.drop(balance_gone)
    simulator.answer("-33", name=f"*-{REFUSED}")
    for done in [EDITS * kill // (kills + 2) for kill in range(1, kills + 1)]:
        until(partial(_has, events, done), WITHIN)
        worker.kill()
        worker.start()

    until(lambda: events.settled().keys() == set(ids), WITHIN, "an edit has no outcome")
    ended = {event["id"]: event["data"] for event in events.take()}
    assert len(ended) == EDITS, "a message has two outcomes"
    rejected = {data["messageId"] for data in ended.values() if data["outcome"] == "rejected"}
    assert rejected <= {ids[number] for number, each in enumerate(names) if REFUSED in each}
    assert len(letters(amqp_url, namespace)) == len(rejected)

    calls = simulator.calls()
    assert not any(call.throttled or call.overlap for call in calls)
    applied = [call for call in calls if call.applied]
    for job in range(1, JOBS + 1):
        of_job = [call.name or "" for call in applied if call.job == job]
        last = max(each for each in names[job - 1 :: JOBS] if REFUSED not in each)
        assert of_job == sorted(of_job)
        assert of_job[-1] == last
    if not kills and not some_refused:
        assert len(calls) <= CALLS_AT_MOST


def _has(events: Subscriber, more_than: int) -> bool:
    return len(events.take()) > more_than
