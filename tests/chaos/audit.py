"""Compares what was published with what became of it. Pure: evidence in, report out."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import chain, pairwise
from operator import attrgetter
from typing import TYPE_CHECKING

from tests.chaos.evidence import APPLIED, Owner
from tests.chaos.excuse import AFTERWARDS, CLOCKS, late, parted
from tests.chaos.report import Report

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tests.chaos.evidence import Contact, Departure, Entry, Event, Evidence, Strike, Term

NOTICED = 0.025
"""Seconds within which we note a call that has left, on a machine with more to do than it can."""
TOLD = 5
"""Findings of each kind that are told in words."""


def audit(evidence: Evidence) -> Report:
    """The report on a run.

    lost: confirmed, and without an event, or rejected without a dead letter, or told to be
    applied when the API did not apply it. Each return of a letter is owed an event more, of its
    own id, and a call at most; it undoes no newer edit that was told to be applied. What ended
    before the journal was deleted may be called again. unexpected: an event or a letter of an
    unknown message, or another outcome than its edit deserves, or two outcomes. misplaced: a call
    by an account that the app was not of at the time; while it moves, it is of both, and until all
    that was published before it had moved has ended, its edits may overtake each other.
    """
    entries = {entry.message_id: entry for entry in evidence.entries if not entry.again}
    events = _by_message(evidence.events)
    lost = list(_lost(evidence, entries, events))
    unexpected = list(_unexpected(evidence, entries, events))
    order = _Order(evidence, entries, events)
    after_event = list(_after_event(evidence, entries, events))
    returned = Counter(one for one, _ in {(r.message_id, r.redrives) for r in evidence.returns})
    ids = [
        one
        for one, found in events.items()
        if len({event.id for event in found}) > 1 + returned[one]
        and not _forgotten(evidence, found[0].at, found[-1].at)
    ]
    paused = list(_while_paused(evidence))
    misplaced = list(_misplaced(evidence))
    hasty = [
        (account, moment, early)
        for account in {term.account for term in evidence.terms}
        for moment, early in haste(
            [one for one in evidence.sent if one.account == account],
            [term for term in evidence.terms if term.account == account],
        )
    ]
    fast = [
        f"the call of {account} sent at {moment:.3f} was {early:.3f} s early"
        for account, moment, early in hasty
        if early > NOTICED
    ]
    letters = Counter(letter.message_id for letter in evidence.letters)
    outcomes = Counter(found[0].outcome == APPLIED for found in events.values())
    return Report(
        published=sum(entry.confirmed is not None for entry in entries.values()),
        applied=outcomes[True],
        rejected=outcomes[False],
        lost=len(lost),
        unexpected=len(unexpected),
        order_violations=len(order.overtakings),
        overlaps=len(order.overlaps),
        calls_after_event=len(after_event),
        event_ids_changed=len(ids),
        rate_violations=len(fast),
        calls_while_paused=len(paused),
        misplaced=len(misplaced),
        greatest_haste=1000 * max((early for _, _, early in hasty), default=0.0),
        unavoidable=sum(map(len, order.unavoidable.values())),
        beyond_unavoidable=sum(
            max(Counter(account for account, _ in calls).values()) > evidence.concurrency
            for calls in order.unavoidable.values()
        ),
        repeated_calls=_repeated_calls(evidence),
        repeated_events=sum(len(found) - 1 for found in events.values()),
        repeated_letters=sum(count - 1 for count in letters.values()),
        ended_by_themselves=len(evidence.ended),
        unconfirmed=sum(entry.confirmed is None for entry in entries.values()),
        longest_recovery=longest_recovery(evidence),
        excused=tuple(
            f"{len(calls)} by {strike.fault}, {strike.mended - strike.begun:.1f} s"
            for strike, calls in order.unavoidable.items()
        ),
        findings=tuple(
            chain(
                lost[:TOLD],
                unexpected[:TOLD],
                order.overtakings[:TOLD],
                order.overlaps[:TOLD],
                after_event[:TOLD],
                (f"{one} has events with different ids" for one in ids[:TOLD]),
                fast[:TOLD],
                paused[:TOLD],
                misplaced[:TOLD],
                evidence.ended[:TOLD],
            )
        ),
    )


def haste(sent: Iterable[Departure], terms: Sequence[Term]) -> Iterator[tuple[float, float]]:
    """Calls that share a window with as many before them as it holds: when, how early (s).

    Of several terms that hold at some moment of the window, the laxest counts. The first call of a
    window may have left before it was seen.
    """
    calls = sorted(sent, key=attrgetter("at"))
    moments = [one.at for one in calls]
    for seconds in {limit.seconds for term in terms for limit in term.limits}:
        for number, moment in enumerate(moments):
            most = max(
                _most(term, seconds)
                for term in terms
                if term.since <= moment and moment - seconds < term.until
            )
            if most <= number:
                first = calls[number - int(most)]
                early = seconds - (moment - (first.at - first.late))
                if early > 0:
                    yield moment, early


def _most(term: Term, seconds: float) -> float:
    """How many calls it allows in a window of so many seconds."""
    return next((one.calls for one in term.limits if one.seconds == seconds), float("inf"))


def _misplaced(evidence: Evidence) -> Iterator[str]:
    for owned in {owner.app for owner in evidence.owners}:
        terms = [owner for owner in evidence.owners if owner.app == owned]
        for contact in evidence.contacts:
            call = contact.call
            theirs = any(
                term.account == call.account
                and term.since <= call.arrived <= term.until + AFTERWARDS
                for term in terms
            )
            if call.app_id == owned and not theirs and not late(evidence.strikes, contact):
                yield f"{call.name} of {owned} was called at {call.arrived:.3f} by {call.account}"


def _moves(evidence: Evidence, events: dict[str, list[Event]]) -> list[Owner]:
    """While each app's edits were on their way from one account to the next."""
    found = []
    for before, after in pairwise(sorted(evidence.owners, key=attrgetter("app", "since"))):
        if before.app == after.app:
            published = (
                entry.message_id
                for entry in evidence.entries
                if entry.app == before.app and (entry.confirmed or 0.0) <= before.until
            )
            ended = (min(event.at for event in events[one]) for one in published if one in events)
            over = max((before.until, *ended))
            found.append(Owner(before.app, after.account, after.since, over))
    return found


def longest_recovery(evidence: Evidence) -> float:
    """The longest time free of faults, from its start to its first event, while edits waited."""
    ended = {event.message_id: event.at for event in reversed(evidence.events)}
    spans = [
        (entry.confirmed, ended.get(entry.message_id, float("inf")))
        for entry in evidence.entries
        if entry.confirmed is not None
    ]
    moments = sorted(event.at for event in evidence.events)
    longest = 0.0
    for begun, over in _calm(evidence.strikes):
        first = next((at for at in moments if at >= begun), over)
        if any(confirmed <= begun and end >= first for confirmed, end in spans):
            longest = max(longest, min(first, over) - begun)
    return longest


def _calm(strikes: Iterable[Strike]) -> Iterator[tuple[float, float]]:
    """The spans after each fault in which there is no other."""
    ordered = sorted(strikes, key=lambda strike: strike.begun)
    until = 0.0
    for number, strike in enumerate(ordered):
        until = max(until, strike.mended)
        over = ordered[number + 1].begun if number + 1 < len(ordered) else float("inf")
        if until < over:
            yield until, over


def _by_message(events: Iterable[Event]) -> dict[str, list[Event]]:
    found: defaultdict[str, list[Event]] = defaultdict(list)
    for event in events:
        found[event.message_id].append(event)
    return found


def _lost(
    evidence: Evidence, entries: dict[str, Entry], events: dict[str, list[Event]]
) -> Iterator[str]:
    lettered = {letter.message_id for letter in evidence.letters}
    returned = Counter(
        one
        for one, _ in {(one.message_id, one.redrives) for one in evidence.returns if one.confirmed}
    )
    applied = {contact.call.name for contact in evidence.contacts if contact.call.applied}
    for message_id, entry in entries.items():
        found = sorted(
            {event.id: event for event in reversed(events.get(message_id, ()))}.values(),
            key=lambda event: event.at,
        )
        if not found:
            if entry.confirmed is not None:
                yield f"{message_id} ({entry.name}) was confirmed and has no event"
            continue
        if len(found) < returned[message_id] + 1:
            yield f"{message_id} ({entry.name}) was returned, and has {len(found)} events"
        if any(event.outcome == APPLIED for event in found):
            if entry.name not in applied:
                yield f"{message_id} ({entry.name}) is told to be applied, and the API knows not"
        elif message_id not in lettered:
            yield f"{message_id} ({entry.name}) is rejected and has no dead letter"


def _unexpected(
    evidence: Evidence, entries: dict[str, Entry], events: dict[str, list[Event]]
) -> Iterator[str]:
    returned = {one.message_id for one in evidence.returns}
    for message_id, found in events.items():
        outcomes = {event.outcome for event in found}
        entry = entries.get(message_id)
        if entry is None:
            yield f"{message_id} was never published and has an event"
        elif not outcomes <= entry.expected or (
            len(outcomes) > 1 + (message_id in returned)
            and not _forgotten(evidence, found[0].at, found[-1].at)
        ):
            yield f"{message_id} ({entry.name}) ended {outcomes}, not {set(entry.expected)}"
    for letter in evidence.letters:
        reasons = {event.outcome for event in events.get(letter.message_id, ())}
        if letter.reason not in reasons:
            yield f"{letter.message_id} has a dead letter for {letter.reason}, and no such event"


def _after_event(
    evidence: Evidence, entries: dict[str, Entry], events: dict[str, list[Event]]
) -> Iterator[str]:
    names = {entry.name: entry.message_id for entry in entries.values() if entry.name is not None}
    returns: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for one in evidence.returns:
        returns[one.message_id].setdefault(one.redrives, one.at)
    for contact in evidence.contacts:
        call = contact.call
        message_id = names.get(call.name or "", "")
        due = sum(at <= call.arrived for at in returns[message_id].values())
        ids = {event.id: event.at for event in reversed(events.get(message_id, ()))}
        over = sorted(
            at + CLOCKS
            for at in ids.values()
            if at + CLOCKS < call.arrived and not _forgotten(evidence, at + CLOCKS, call.arrived)
        )
        if len(over) > due and not late(evidence.strikes, contact):
            yield f"{call.name} was called again {call.arrived - over[due]:.3f} s after its event"


def _forgotten(evidence: Evidence, since: float, until: float) -> bool:
    """Whether the journal was deleted between the two moments."""
    return any(since <= at <= until for at in evidence.forgotten)


def _while_paused(evidence: Evidence) -> Iterator[str]:
    """Calls that left while the account was paused, but of a replica that was just woken."""
    woken = [
        strike.mended for strike in evidence.strikes if strike.cut and strike.cut.link == "process"
    ]
    for pause in evidence.pauses:
        for one in [one for one in evidence.sent if one.account == pause.account]:
            at, after = one.at, one.at - one.late - pause.since
            if after > NOTICED and at < pause.until:
                if any(0 <= at - mended <= AFTERWARDS for mended in woken):
                    continue
                yield f"a call was sent at {at:.3f}, {after:.3f} s after its account was paused"


def _repeated_calls(evidence: Evidence) -> int:
    """Calls of an edit that the API had applied before."""
    applied: set[str | None] = set()
    repeated = 0
    for contact in evidence.contacts:
        repeated += contact.call.name in applied
        if contact.call.applied:
            applied.add(contact.call.name)
    return repeated


class _Order:
    """The calls of each job, one by one: what overtook, what overlapped, what is excused."""

    def __init__(
        self, evidence: Evidence, entries: dict[str, Entry], events: dict[str, list[Event]]
    ) -> None:
        self.overtakings: list[str] = []
        self.overlaps: list[str] = []
        self.unavoidable: defaultdict[Strike, set[tuple[str | None, int]]] = defaultdict(set)
        """By fault the calls, with account and number, that were begun before it, or could not be
        known to come late."""
        self._strikes = evidence.strikes
        self._numbers = {
            entry.name: entry.number for entry in entries.values() if entry.confirmed is not None
        }
        self._evidence = evidence
        returned = {one.message_id for one in evidence.returns}
        self._returned = {entries[one].name for one in returned if one in entries}
        self._told: defaultdict[int | None, list[tuple[int, float]]] = defaultdict(list)
        """By job, the numbers of its applied edits, and when that was told."""
        self._ended: dict[str | None, float] = {}
        """By name, when an edit was first told to have ended."""
        for message_id, found in events.items():
            entry = entries.get(message_id)
            if entry is not None and entry.name is not None:
                self._ended[entry.name] = min(event.at for event in found)
                told = [event.at for event in found if event.outcome == APPLIED]
                if told:
                    self._told[entry.job].append((entry.number, min(told)))
        self._moves = _moves(evidence, events)
        jobs: defaultdict[tuple[str | None, int | None], list[Contact]] = defaultdict(list)
        for contact in evidence.contacts:
            jobs[contact.call.app_id, contact.call.job].append(contact)
        for contacts in jobs.values():
            self._follow(contacts)

    def _follow(self, contacts: list[Contact]) -> None:
        newest = -1
        under_way: list[Contact] = []
        for contact in contacts:
            call = contact.call
            under_way = [one for one in under_way if _ended(one) > call.arrived]
            for other in under_way:
                self._overlapped(other, contact)
            under_way.append(contact)
            number = self._numbers.get(call.name, newest)
            if number < newest and not self._may_come_again(contact, number):
                self._overtaken(contact)
            newest = max(newest, number)

    def _may_come_again(self, contact: Contact, number: int) -> bool:
        """Whether it was returned, and nothing newer was known to be applied; or is forgotten."""
        name, arrived = contact.call.name, contact.call.arrived
        ended = self._ended.get(name, arrived)
        if ended < arrived and _forgotten(self._evidence, ended, arrived):
            return True
        return name in self._returned and not any(
            other > number and at + CLOCKS < arrived and not _forgotten(self._evidence, at, arrived)
            for other, at in self._told[contact.call.job]
        )

    def _is_moving(self, contact: Contact) -> bool:
        """Whether the call is of an app that was on its way to another account."""
        call = contact.call
        return any(
            move.app == call.app_id and move.since <= call.arrived <= move.until
            for move in self._moves
        )

    def _overlapped(self, earlier: Contact, later: Contact) -> None:
        if self._is_moving(later):
            return
        since, until = earlier.call.arrived, later.call.arrived
        belated = late(self._strikes, later)
        left_behind = parted(self._strikes, earlier, later)
        if belated is not None:
            self.unavoidable[belated].add((later.call.account, later.call.seq))
        elif left_behind is not None:
            self.unavoidable[left_behind].add((earlier.call.account, earlier.call.seq))
        elif not later.call.trailing:  # else its caller had left, after the time for a call
            self.overlaps.append(
                f"job {later.call.job}: {later.call.name} ({later.replica}) was called while"
                f" {earlier.call.name} ({earlier.replica}) was, since {until - since:.3f} s"
            )

    def _overtaken(self, contact: Contact) -> None:
        if self._is_moving(contact):
            return
        excuse = late(self._strikes, contact)
        if excuse is not None:
            self.unavoidable[excuse].add((contact.call.account, contact.call.seq))
            return
        self.overtakings.append(
            f"job {contact.call.job}: {contact.call.name} ({contact.replica}) was called at"
            f" {contact.call.arrived:.3f}, after a later edit of the job"
        )


def _ended(contact: Contact) -> float:
    return float("inf") if contact.call.ended is None else contact.call.ended
