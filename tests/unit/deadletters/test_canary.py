from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.deadletters.dead import DONE, ended
from tests.unit.schemas.builders import event
from worker.core.identity import Identity
from worker.deadletters.canary import Awaited, Canary, Step

IDENTITY = Identity("acme", "m-1", b"digest", 1)


def told(identity: Identity, outcome: str = "applied") -> bytes:
    return event(
        event_id=identity.event_id(outcome),
        outcome=outcome,
        message_id=identity.message_id,
        account=identity.account if identity.account != "-" else None,
        reason="invalid" if outcome == "rejected" else None,
    )


@pytest.mark.parametrize(
    ("applied", "failed", "is_bad"),
    [(10, 0, False), (19, 1, False), (18, 2, True), (0, 20, True), (0, 1, False)],
)
def test_a_step_is_bad_once_its_share_of_failures_is_reached(
    applied: int, failed: int, is_bad: bool
) -> None:
    step = Step(20, 0.1)
    for number in range(applied + failed):
        step = step.heard(applied=number >= failed)
    assert (step.applied, step.failed, step.is_bad) == (applied, failed, is_bad)


def test_a_share_of_nought_is_reached_by_the_first_failure_and_not_without() -> None:
    assert not Step(5, 0.0).heard(applied=True).is_bad
    assert Step(5, 0.0).heard(applied=False).is_bad


def test_steps_double_and_the_last_takes_what_is_left() -> None:
    canary, sizes, left = Canary(Step(5, 0.1).of(100)), [5], 95
    while left:
        canary.go_on(left)
        sizes.append(canary.step.size)
        left -= canary.step.size
    assert sizes == [5, 10, 20, 40, 25]


def test_a_step_is_over_when_every_outcome_of_it_is_known() -> None:
    canary = Canary(Step(2, 0.5))
    second = replace(IDENTITY, message_id="m-2")
    canary.begin(IDENTITY, 1.0)
    canary.begin(second, 2.0)
    assert not canary.has_room
    assert canary.hear(told(IDENTITY), 3.0) is True
    assert len(canary.awaited) == 1
    assert canary.hear(told(second, "rejected"), 4.0) is False
    assert not canary.awaited
    assert canary.step.is_bad


def test_of_what_no_queue_took_nothing_is_awaited() -> None:
    canary = Canary(Step(2, 0.1))
    canary.begin(IDENTITY, 1.0)
    canary.fail(IDENTITY)
    canary.begin(None, 2.0)
    canary.fail(None)
    assert not canary.awaited
    assert canary.step.failed == 2


def test_patience_is_counted_from_the_last_thing_heard() -> None:
    canary = Canary(Step(2, 0.1))
    assert not canary.is_overdue(999, 60)
    canary.begin(IDENTITY, 10.0)
    assert not canary.is_overdue(70.0, 60)
    assert canary.is_overdue(70.1, 60)
    canary.hear(told(IDENTITY), 70.2)
    assert not canary.is_overdue(999, 60)


@pytest.mark.parametrize(
    "body",
    [
        told(replace(IDENTITY, redrives=0)),
        told(replace(IDENTITY, digest=b"other")),
        told(replace(IDENTITY, message_id="m-2")),
        event(message_id=None),
        ended().event,
        b"{}",
    ],
)
def test_other_events_are_not_taken_for_the_awaited_ones(body: bytes) -> None:
    awaited = Awaited()
    awaited.add(IDENTITY)
    assert awaited.heard(body) is None
    assert len(awaited) == 1


def test_one_of_no_account_is_known_by_whoever_took_it_and_heard_once() -> None:
    awaited = Awaited()
    awaited.add(replace(IDENTITY, account="-"))
    taken = told(replace(IDENTITY, account="zeta"))
    assert awaited.heard(taken) is True
    assert awaited.heard(taken) is None
    assert not awaited


def test_the_event_of_a_real_edit_is_recognized() -> None:
    done = ended(verdict=DONE)
    identity = ended().letter.identity
    assert identity is not None
    awaited = Awaited()
    awaited.add(identity)
    assert awaited.heard(done.event) is True
