"""The auditor finds what should not be, and excuses what nobody can help."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from ops.simulator.control import Call
from tests.acceptance.kit import KEY
from tests.chaos.audit import audit, haste, longest_recovery
from tests.chaos.evidence import (
    APPLIED,
    Contact,
    Cut,
    Departure,
    Entry,
    Event,
    Evidence,
    Letter,
    Limit,
    Owner,
    Pause,
    Return,
    Strike,
    Term,
)
from tests.chaos.names import APP

if TYPE_CHECKING:
    from tests.chaos.report import Report

INVALID = "invalid"


def entry(number: int, *, job: int = 7, expected: str = APPLIED, **changes: Any) -> Entry:  # noqa: ANN401
    """A message published and confirmed at second `number`."""
    given = Entry(
        number, f"m-{number}", job, f"e-{number}", frozenset({expected}), confirmed=float(number)
    )
    return replace(given, **changes)


def event(number: int, at: float | None = None, outcome: str = APPLIED, **changes: Any) -> Event:  # noqa: ANN401
    """Its event, half a second later."""
    given = Event(f"id-{number}", f"m-{number}", outcome, number + 0.5 if at is None else at)
    return replace(given, **changes)


def contact(
    number: int,
    arrived: float | None = None,
    *,
    replica: str = "one",
    lasts: float = 0.1,
    **of: Any,  # noqa: ANN401
) -> Contact:
    """Its call, shortly before its event."""
    begun = number + 0.3 if arrived is None else arrived
    call = Call(
        seq=int(begun * 1000),
        arrived=begun,
        ended=begun + lasts,
        connection=1,
        account=KEY,
        app_id=APP,
        job=7,
        name=f"e-{number}",
        http=200,
        status="0",
        fault=None,
        digest="",
        applied=True,
        throttled=False,
        overlap=False,
        trailing=False,
        abandoned=False,
    )
    return Contact(replace(call, **of), replica)


def sent(*moments: float, account: str = KEY) -> tuple[Departure, ...]:
    """Calls that left at those moments."""
    return tuple(Departure(at, account) for at in moments)


def strike(begun: float, mended: float, **changes: Any) -> Strike:  # noqa: ANN401
    """A fault that froze replica one."""
    frozen = Cut("process", frozenset({"one"}), holds_back=True)
    return Strike("freeze", begun, begun, mended, replace(frozen, **changes))


def evidence(**changes: Any) -> Evidence:  # noqa: ANN401
    """Three edits of one job, all applied in order."""
    given = Evidence(
        entries=tuple(entry(number) for number in range(3)),
        events=tuple(event(number) for number in range(3)),
        letters=(),
        contacts=tuple(contact(number) for number in range(3)),
        sent=(),
        strikes=(),
        ended=(),
        terms=(Term(KEY, (Limit(10, 1.0),)),),
        concurrency=16,
    )
    return replace(given, **changes)


def test_where_nothing_is_wrong_nothing_is_found() -> None:
    report = audit(evidence())
    assert (report.published, report.applied, report.rejected) == (3, 3, 0)
    assert not report.broken
    assert not report.findings


ORDERLY = tuple(contact(number) for number in range(3))
WRONG: dict[str, tuple[str, dict[str, Any]]] = {
    "confirmed and without an event": ("lost", {"events": (event(0), event(2))}),
    "told to be applied, and the API knows not": ("lost", {"contacts": ORDERLY[:2]}),
    "rejected without a dead letter": (
        "lost",
        {
            "entries": (entry(0, expected=INVALID),),
            "events": (event(0, outcome=INVALID),),
            "contacts": (),
        },
    ),
    "never published": ("unexpected", {"entries": (entry(0), entry(1))}),
    "rejected without cause": (
        "unexpected",
        {
            "events": (event(0), event(1, outcome=INVALID), event(2)),
            "letters": (Letter("m-1", INVALID),),
        },
    ),
    "two outcomes": (
        "unexpected",
        {"events": (*evidence().events, event(1, outcome=INVALID, at=9.0))},
    ),
    "a dead letter of an applied edit": ("unexpected", {"letters": (Letter("m-1", "poison"),)}),
    "an older edit called after a newer one": (
        "order_violations",
        {
            "contacts": (*ORDERLY, contact(1, 2.45)),
            "events": (event(0), event(1, at=2.55), event(2)),
        },
    ),
    "two calls at once": ("overlaps", {"contacts": (contact(0, lasts=1.2), *ORDERLY[1:])}),
    "called again after its event": (
        "calls_after_event",
        {"contacts": (*ORDERLY, contact(2, 2.6))},
    ),
    "events with different ids": (
        "event_ids_changed",
        {"events": (*evidence().events, event(1, id="another"))},
    ),
    "eleven calls in a second": (
        "rate_violations",
        {"sent": sent(*(number / 11 for number in range(12)))},
    ),
}


@pytest.mark.parametrize(("promise", "changes"), WRONG.values(), ids=WRONG)
def test_what_should_not_be_is_found(promise: str, changes: dict[str, Any]) -> None:
    report = audit(evidence(**changes))
    assert report.broken == (promise,)
    assert report.findings


def test_what_was_never_confirmed_may_be_lost() -> None:
    entries = (entry(0), entry(1, confirmed=None), entry(2))
    left = {"events": (event(0), event(2)), "contacts": (contact(0), contact(2))}
    assert not audit(evidence(entries=entries, **left)).broken


def test_a_repeat_may_have_its_event_again_and_no_call() -> None:
    entries = (*evidence().entries, entry(3, message_id="m-1", name="e-1", again=True))
    report = audit(evidence(entries=entries, events=(*evidence().events, event(1, at=3.5))))
    assert not report.broken
    assert report.repeated_events == 1
    assert report.published == 3


class TestReturnedLetters:
    """The first of three edits was rejected, and its letter moved to the lane at second 3."""

    refused: ClassVar[dict[str, Any]] = {
        "entries": (
            entry(0, expected="api_rejected"),
            entry(1),
            entry(2, job=8),
        ),
        "contacts": (contact(0, applied=False), contact(1), contact(2, job=8)),
        "events": (event(0, outcome="api_rejected"), event(1), event(2)),
        "letters": (Letter("m-0", "api_rejected"),),
        "returns": (Return("m-0", "0", 3.0, confirmed=True),),
    }

    def found(self, *more: Event, calls: tuple[Contact, ...] = (), **changes: Any) -> Report:  # noqa: ANN401
        """The report when these events and calls came after the return."""
        given = self.refused | changes
        given["events"] += more
        given["contacts"] += calls
        return audit(evidence(**given))

    def test_a_returned_letter_ends_a_second_time_and_may_be_called_once(self) -> None:
        again = event(0, at=3.5, outcome="api_rejected", id="id-again")
        assert not self.found(again).broken
        alone = {"entries": self.refused["entries"][:1], "events": self.refused["events"][:1]}
        alone["contacts"] = self.refused["contacts"][:1]
        call = contact(0, 3.2, applied=False)
        assert not self.found(again, calls=(call,), **alone).broken
        twice = (call, contact(0, 3.8, applied=False))
        assert self.found(again, calls=twice, **alone).broken == ("calls_after_event",)
        assert not self.found(again, calls=twice, forgotten=(1.0,), **alone).broken
        assert not self.found(again, calls=twice, forgotten=(3.7,), **alone).broken

    def test_one_that_never_ended_again_is_lost_unless_its_move_was_not_confirmed(self) -> None:
        assert self.found().broken == ("lost",)
        unsure = (Return("m-0", "0", 3.0, confirmed=False),)
        assert not self.found(returns=unsure).broken

    def test_it_may_not_undo_a_newer_edit_that_was_told_to_be_applied(self) -> None:
        again = event(0, at=3.5, outcome="api_rejected", id="id-again")
        found = self.found(again, calls=(contact(0, 3.2, applied=False),))
        assert found.broken == ("order_violations",)

    def test_more_events_than_returns_are_too_many(self) -> None:
        again = (event(0, at=at, outcome="api_rejected", id=f"id-again-{at}") for at in (3.5, 3.6))
        assert self.found(*again).broken == ("event_ids_changed",)


def test_a_call_of_a_paused_account_is_found_unless_its_caller_just_woke() -> None:
    pause = (Pause(1.0, 2.0),)
    for at in (0.99, 1.01, 2.01):
        assert not audit(evidence(pauses=pause, sent=sent(at))).broken
    assert audit(evidence(pauses=pause, sent=sent(1.5))).broken == ("calls_while_paused",)
    assert not audit(evidence(pauses=pause, sent=sent(1.5, account="another"))).broken
    assert not audit(evidence(pauses=pause, sent=(Departure(1.5, KEY, late=0.6),))).broken
    assert not audit(evidence(pauses=pause, sent=sent(1.5), strikes=(strike(0.5, 1.4),))).broken


def test_what_ended_before_the_journal_was_deleted_may_be_called_again() -> None:
    again = (*ORDERLY, contact(0, 4.0))
    assert not audit(evidence(contacts=again, forgotten=(3.0,))).broken
    found = audit(evidence(contacts=again, forgotten=(4.5,)))
    assert set(found.broken) == {"order_violations", "calls_after_event"}


def test_what_ended_before_the_journal_was_deleted_may_end_otherwise() -> None:
    flaky = frozenset({APPLIED, "exhausted"})
    ends = (*evidence().events, event(2, 4.0, outcome="exhausted", id="id-again"))
    entries = (entry(0), entry(1), replace(entry(2), expected=flaky))
    found = {"entries": entries, "events": ends, "letters": (Letter("m-2", "exhausted"),)}
    assert not audit(evidence(**found, forgotten=(3.0,))).broken
    assert set(audit(evidence(**found)).broken) == {"unexpected", "event_ids_changed"}


class TestUnavoidable:
    frozen = contact(0, lasts=1.2)
    """Under way still when the next of its job is called."""

    def test_another_may_call_while_the_call_of_a_frozen_replica_lasts(self) -> None:
        taken_over = (self.frozen, contact(1, replica="two"), contact(2, replica="two"))
        report = audit(evidence(contacts=taken_over, strikes=(strike(0.4, 5),)))
        assert not report.broken
        assert report.unavoidable == 1

    def test_a_replica_that_lost_the_broker_alone_knows_its_own_calls(self) -> None:
        cut_off = strike(0.4, 5, link="broker")
        report = audit(evidence(contacts=(self.frozen, *ORDERLY[1:]), strikes=(cut_off,)))
        assert report.broken == ("overlaps",)

    def test_a_fault_elsewhere_or_earlier_excuses_nothing(self) -> None:
        for harmless in (strike(0.4, 5, replicas=frozenset({"three"})), strike(0, 0.2)):
            contacts = (self.frozen, contact(1, replica="two"), contact(2, replica="two"))
            assert audit(evidence(contacts=contacts, strikes=(harmless,))).broken == ("overlaps",)

    def test_a_call_begun_after_the_fault_is_not_excused(self) -> None:
        contacts = (self.frozen, contact(1, replica="two"), contact(2, replica="two"))
        cut_off = strike(0.2, 5, link="broker")
        assert audit(evidence(contacts=contacts, strikes=(cut_off,))).broken == ("overlaps",)

    def test_unless_its_replica_could_not_know_yet(self) -> None:
        contacts = (self.frozen, contact(1, replica="two"), contact(2, replica="two"))
        half_open = strike(0.2, 5, link="broker", blind=1.0)
        assert not audit(evidence(contacts=contacts, strikes=(half_open,))).broken

    def test_a_call_may_come_late_out_of_a_replica_that_woke_just_now(self) -> None:
        woken = (*ORDERLY, contact(1, 6.0))
        report = audit(evidence(contacts=woken, strikes=(strike(1.4, 5.9),)))
        assert not report.broken
        assert report.unavoidable == 1
        too_late = (*ORDERLY, contact(1, 8.0))
        report = audit(evidence(contacts=too_late, strikes=(strike(1.4, 5.9),)))
        assert set(report.broken) == {"order_violations", "calls_after_event"}

    def test_a_fault_may_leave_no_more_calls_than_were_in_flight(self) -> None:
        late = tuple(contact(0, 6 + number / 100, lasts=0.001) for number in range(3))
        given = {"contacts": (*ORDERLY, *late), "strikes": (strike(1.4, 5.9),)}
        assert not audit(evidence(**given, concurrency=3)).broken
        assert audit(evidence(**given, concurrency=2)).broken == ("beyond_unavoidable",)

    def test_a_call_whose_caller_gave_it_up_may_be_under_way_still(self) -> None:
        calls = (self.frozen, contact(1, trailing=True), contact(2))
        assert not audit(evidence(contacts=calls)).broken


@pytest.mark.parametrize(
    ("calls", "found"),
    [
        ([number / 8 for number in range(50)], 0),
        ([*(number / 8 for number in range(9)), 1.05], 1),
        ([0.0] * 8, 0),
        ([0.0] * 8 + [0.999], 1),
        ([0.0] * 8 + [1.0], 0),
    ],
)
def test_a_sliding_second_holds_no_more_calls_than_the_rate(calls: list[float], found: int) -> None:
    assert len(list(haste(sent(*calls), [Term(KEY, (Limit(8, 1.0),))]))) == found


def test_a_call_that_was_seen_late_makes_none_early_that_comes_after_it() -> None:
    others = sent(0.1, 0.2, 0.3)
    for late, found in ((0.0, 1), (0.07, 0)):
        calls = (Departure(0.05, KEY, late), *others, *sent(0.99))
        assert len(list(haste(calls, [Term(KEY, (Limit(4, 1.0),))]))) == found


CHANGED = (
    Term(KEY, (Limit(8, 1.0),), until=2.0),
    Term(KEY, (Limit(4, 1.0), Limit(20, 60.0)), since=1.5),
)
"""From second 1.5 to 2 both hold: replica after replica adopts the second."""


@pytest.mark.parametrize(
    ("calls", "found"),
    [
        ([number / 8 for number in range(20)], 0),
        ([3 + number / 4 for number in range(10)], 0),
        ([3 + number / 8 for number in range(6)], 2),
        ([2.5 + number / 8 for number in range(4)] + [3.01], 1),
        ([2.9 - number / 8 for number in range(8)], 0),
        ([number / 8 for number in range(16)] + [100 + number / 3 for number in range(21)], 1),
    ],
)
def test_while_a_limit_changes_the_laxer_one_counts(calls: list[float], found: int) -> None:
    assert len(list(haste(sent(*calls), CHANGED))) == found


class TestAnAppThatMoves:
    """From second 1.2 to 2.8 it is of both accounts."""

    owners: ClassVar[tuple[Owner, ...]] = (
        Owner(APP, KEY, until=2.8),
        Owner(APP, "another", since=1.2),
    )

    def test_either_account_may_call_while_it_moves_and_only_the_right_one_else(self) -> None:
        moved = tuple(
            contact(number, account=account) for number, account in enumerate((KEY, "another", KEY))
        )
        assert not audit(evidence(contacts=moved, owners=self.owners)).broken
        early = (contact(0, account="another"), *ORDERLY[1:])
        assert audit(evidence(contacts=early, owners=self.owners)).broken == ("misplaced",)
        late = {"entries": (entry(5),), "events": (event(5),), "contacts": (contact(5),)}
        assert audit(evidence(**late, owners=self.owners)).broken == ("misplaced",)

    def test_its_edits_may_overtake_each_other_only_until_all_from_before_have_ended(self) -> None:
        turned = {"contacts": (contact(0), contact(2, 1.3), contact(1, 1.45))}
        assert not audit(evidence(**turned, owners=self.owners)).broken
        assert audit(evidence(**turned)).broken == ("order_violations",)
        overlap = {"contacts": (contact(0), contact(1, 1.3, lasts=0.5), contact(2, 1.5))}
        assert not audit(evidence(**overlap, owners=self.owners)).broken
        assert audit(evidence(**overlap)).broken == ("overlaps",)


def test_recovery_is_the_time_without_faults_until_something_is_settled_again() -> None:
    told = (event(0, at=0.5), event(1, at=7.5), event(2, at=7.6))
    assert longest_recovery(evidence(events=told, strikes=(strike(0.6, 5),))) == 2.5
    assert longest_recovery(evidence(events=told, strikes=(strike(0.6, 5), strike(2, 7)))) == 0.5
    assert longest_recovery(evidence(strikes=(strike(3, 5),))) == 0
