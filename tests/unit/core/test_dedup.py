"""What was settled lately is known for an hour at least, however much else was settled."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from schemas import OUTCOMES, Reason
from tests.unit.builders import event
from worker.core import dedup as bounds
from worker.core.dedup import SECONDS_AT_LEAST, SPAN, WHOLE_AT_MOST, Known, RecentOutcomes
from worker.core.identity import Identity, Place

if TYPE_CHECKING:
    from worker.core.message import Publication

KNOWN = Identity("acme", "m-1", bytes(32), 0)
OTHER = replace(KNOWN, digest=b"\x01" * 32)
HOUR = SECONDS_AT_LEAST


def told(identity: Identity = KNOWN, outcome: str = "applied") -> Publication:
    kind = f"task-edit.{outcome}.v1"
    return event(identity.event_id(outcome), b'{"data": {"reason": "invalid"}}', type=kind)


def busy(memory: RecentOutcomes, now: float, count: int = WHOLE_AT_MOST) -> None:
    """So many other messages are settled."""
    for number in range(count):
        memory.keep(event(f"{number:08x}-0000-5000-8000-{int(now):012x}"), now)


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_what_was_kept_is_found_by_the_very_same_message_only(outcome: str) -> None:
    memory = RecentOutcomes()
    kept = told(outcome=outcome)

    memory.keep(kept, now=0.0)

    assert memory.find(KNOWN, now=1.0) is kept
    assert memory.find(OTHER, now=1.0) is None


def test_an_event_is_known_for_an_hour_and_not_for_ever() -> None:
    memory = RecentOutcomes()
    memory.keep(told(), now=100.0)

    assert memory.find(KNOWN, now=100.0 + HOUR)
    assert not memory.find(KNOWN, now=101.0 + SPAN + bounds.SECONDS_AT_MOST)
    assert len(memory) == 0


@pytest.mark.parametrize(
    ("outcome", "known"),
    [
        ("applied", Known(None)),
        ("rejected", Known(Reason.INVALID)),
        ("superseded", Known(None, superseded=True)),
    ],
)
def test_how_a_message_ended_is_known_after_any_number_of_others(
    outcome: str, known: Known
) -> None:
    memory = RecentOutcomes()
    memory.keep(told(outcome=outcome), now=0.0)

    busy(memory, HOUR - 1)

    assert memory.find(KNOWN, now=HOUR) == known


def test_beyond_an_hour_no_more_is_kept_than_there_is_room_for() -> None:
    memory = RecentOutcomes(room=2)
    memory.keep(told(), now=0.0)
    busy(memory, SPAN, count=2)

    assert memory.find(KNOWN, now=HOUR + SPAN)
    assert not memory.find(KNOWN, now=HOUR + SPAN + 1)
    assert len(memory) == 2


def test_what_is_no_event_of_ours_is_not_kept() -> None:
    memory = RecentOutcomes()

    memory.keep(event(""), now=0.0)
    memory.keep(event("someone-elses"), now=0.0)

    assert len(memory) == 0


@pytest.mark.parametrize("body", [b"", b"[]", b'{"data": 7}', b'{"data": {"reason": ["x"]}}'])
def test_an_event_that_cannot_be_read_hurts_nobody(body: bytes) -> None:
    memory = RecentOutcomes()

    memory.keep(replace(told(outcome="rejected"), body=body), now=0.0)

    assert memory.find(KNOWN, now=0.0)


def test_a_jobs_newest_applied_edit_is_known_by_its_place() -> None:
    memory = RecentOutcomes()
    memory.applied("acme", 7, Place(10, 5), "new")
    memory.applied("acme", 7, Place(10, 4), "sent again")

    assert memory.newer("acme", 7, Place(10, 4)) == (Place(10, 5), "new")
    assert memory.newer("acme", 7, Place(9, 99))
    assert memory.newer("acme", 7, Place(10, 5)) is None
    assert memory.newer("acme", 7, Place(11, 1)) is None
    assert memory.newer("acme", 8, Place(0, 0)) is None
    assert memory.newer("zeta", 7, Place(0, 0)) is None


def test_so_many_jobs_are_known_and_no_more() -> None:
    memory = RecentOutcomes()
    for job in range(bounds.JOBS_AT_MOST + 1):
        memory.applied("acme", job, Place(1, 1), None)

    assert memory.newer("acme", 0, Place(0, 0)) is None
    assert memory.newer("acme", 1, Place(0, 0))


def test_the_same_message_id_with_another_body_is_a_conflict() -> None:
    memory = RecentOutcomes()

    found = [memory.conflicts(each) for each in (KNOWN, KNOWN, OTHER, OTHER, KNOWN)]

    assert found == [False, False, True, False, True]


def test_the_same_message_id_at_another_account_is_none() -> None:
    memory = RecentOutcomes()
    memory.conflicts(KNOWN)

    assert not memory.conflicts(replace(OTHER, account="other"))
