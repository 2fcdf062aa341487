"""What the journal tells of dead letters: whether sending one again would do harm, or nothing.

A letter is *superseded* when a newer edit of its job has been applied since, or what it was mended
to has been, for sending it again would undo that. It is *settled* when it was sent again before
and that has ended, applied or as a newer letter: a copy that a killed command left behind.

Newer is what has a greater place in the lane's order. Only where a place is missing (without
a journal, or of what reached no lane) do the replicas' clocks decide. The lane judges once more at
the moment of the call: see `worker.core.identity.Place`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from schemas import OUTCOMES, read_event
from schemas.names import PLACE_HEADER
from worker.core.identity import NO_ACCOUNT, OLDEST, place_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from schemas import Event, Outcome
    from worker.amqp.session import Offset, Session
    from worker.core.identity import Identity, Place
    from worker.deadletters.letter import Letter

_JOB = re.compile(rb'"jobId":\s*([1-9][0-9]{0,18})')
_REDRIVES_AT_MOST = 1000
MARGIN: Final = timedelta(minutes=5)
"""How far the worker's clock, that events and letters are dated by, may be from RabbitMQ's, by
which streams are found, without all of the journal being read."""


@dataclass(frozen=True, slots=True)
class Redrivable:
    """Nothing is against sending it again, with that redrive count."""

    redrives: int


@dataclass(frozen=True, slots=True)
class Overtaken:
    """A newer edit of the job has been applied since; `redrives` is for sending it even so."""

    message_id: str | None
    at: datetime
    redrives: int


@dataclass(frozen=True, slots=True)
class AlreadySettled:
    """It was sent again before, and that has ended: this is a copy."""

    outcome: Outcome


Eligibility = Redrivable | Overtaken | AlreadySettled


@dataclass(frozen=True, slots=True)
class _Applied:
    event_id: str
    account: str
    message_id: str | None
    received_at: datetime
    finished_at: datetime
    place: Place | None


@dataclass(slots=True)
class JobHistory:
    """The events of some letters' jobs, heard one by one in the journal's order."""

    jobs: frozenset[int]
    ids: frozenset[str]
    """Ids of the events that letters without a readable job would have had."""
    _accounts: set[str] = field(default_factory=set)
    _ended: set[str] = field(default_factory=set)
    _applied: dict[int, list[_Applied]] = field(default_factory=lambda: defaultdict(list))
    _begun: dict[tuple[str, str], datetime] = field(default_factory=dict)
    """When a message was first received: by account, and message id or id of an event."""

    @classmethod
    def of(cls, letters: Iterable[Letter]) -> JobHistory:
        """Ready to hear of these letters."""
        jobs: set[int] = set()
        ids: set[str] = set()
        for letter in letters:
            if letter.head.job_id is not None:
                jobs.add(letter.head.job_id)
            elif letter.identity is not None:
                again = replace(letter.identity, redrives=letter.redrives + 1)
                ids.update(again.event_id(outcome) for outcome in OUTCOMES)
        return cls(frozenset(jobs), frozenset(ids))

    def wants(self, event_id: str | None, body: bytes) -> bool:
        """Whether an event is worth reading; a look at its bytes only."""
        found = _JOB.search(body)
        return (found is not None and int(found[1]) in self.jobs) or event_id in self.ids

    def hear(self, body: bytes, place: Place | None = None) -> Event | None:
        """Take in an event, and return it; None for what is no event of ours.

        `place`: where its edit stood in its lane, as its headers say.
        """
        event = self.hear_begin(body)
        if event is None:
            return None
        data, account = event.data, event.data.account or NO_ACCOUNT
        self._accounts.add(account)
        self._ended.add(event.id)
        if data.outcome == "applied" and data.jobId is not None:
            self._applied[data.jobId].append(
                _Applied(event.id, account, data.messageId, data.receivedAt, data.finishedAt, place)
            )
        return event

    def hear_begin(self, body: bytes) -> Event | None:
        """Take in only when the message of an event was received; the event."""
        try:
            event = read_event(body)
        except ValidationError:
            return None
        account = event.data.account or NO_ACCOUNT
        for known in (event.data.messageId, event.id):
            if known is not None:
                at = self._begun.get((account, known), event.data.receivedAt)
                self._begun[account, known] = min(at, event.data.receivedAt)
        return event

    def standing(self, letter: Letter, newest: int = 0) -> Eligibility:
        """Whether the letter may be sent again.

        `newest`: the highest redrive count of all letters of the same message that lie dead.
        """
        redrives, ended = self._next(letter)
        if done := ended - {"rejected"}:
            return AlreadySettled(min(done))
        if ended and newest > letter.redrives:
            return AlreadySettled("rejected")
        newer = self._newer(letter)
        if newer is not None:
            return Overtaken(newer.message_id, newer.finished_at, redrives)
        return Redrivable(redrives)

    def is_doubtful(self, letter: Letter) -> bool:
        """Whether an edit seems newer than the letter that may be an older one sent again.

        That is told by its first event, which may lie before all that was heard.
        """
        newer = self._newer(letter)
        by_clock = newer is not None and (newer.place is None or letter.stood is None)
        return by_clock and newer is not None and newer.message_id is not None

    def has_heard(self, letter: Letter) -> bool:
        """Whether the letter's own event was among those heard: nothing before it matters."""
        return letter.event_id in self._ended

    def place(self, letter: Letter) -> Place:
        """What an edit's place has to exceed to be newer than the letter, to the lane.

        Of a letter without a place, all that was heard is known not to be newer when it is sent.
        """
        if letter.stood is not None:
            return letter.stood
        edits = self._applied.get(letter.head.job_id or 0, ())
        return max((edit.place for edit in edits if edit.place is not None), default=OLDEST)

    def _next(self, letter: Letter) -> tuple[int, set[Outcome]]:
        """The lowest redrive count that has not ended yet, and how the ones before it ended."""
        outcomes: set[Outcome] = set()
        count = letter.redrives + 1
        while letter.identity is not None and count < letter.redrives + _REDRIVES_AT_MOST:
            ended = self._outcomes(replace(letter.identity, redrives=count))
            if not ended:
                break
            outcomes |= ended
            count += 1
        return count, outcomes

    def _outcomes(self, identity: Identity) -> set[Outcome]:
        accounts = {identity.account}
        if identity.account == NO_ACCOUNT:
            accounts |= self._accounts
        whoever = [replace(identity, account=account) for account in accounts]
        return {
            outcome
            for outcome in OUTCOMES
            if any(one.event_id(outcome) in self._ended for one in whoever)
        }

    def _newer(self, letter: Letter) -> _Applied | None:
        """The last applied edit of the letter's job that is newer than it."""
        for edit in reversed(self._applied.get(letter.head.job_id or 0, ())):
            if letter.account in {None, edit.account} and self._is_newer(edit, letter):
                return edit
        return None

    def _is_newer(self, edit: _Applied, letter: Letter) -> bool:
        if letter.stood is not None and edit.place is not None:
            # in its own place stands what it was mended to: the copy of a killed command is left
            is_mended = edit.place == letter.stood and not _is_of(edit.event_id, letter)
            return edit.place > letter.stood or is_mended
        since, died = letter.received_at, letter.dead_at
        if since is None or died is None:
            return False
        return _whole(self._begin(edit)) >= since and _whole(edit.finished_at) >= died

    def _begin(self, edit: _Applied) -> datetime:
        """When the edit was received for the first time, before any redrive."""
        if edit.message_id is None:
            return edit.received_at
        return self._begun.get((edit.account, edit.message_id), edit.received_at)


def _is_of(event_id: str, letter: Letter) -> bool:
    """Whether it is the letter itself that was applied, as it is or before a redrive."""
    if letter.identity is None:
        return False
    counts = range(max(0, letter.redrives - _REDRIVES_AT_MOST), letter.redrives + 1)
    before = (replace(letter.identity, redrives=count) for count in counts)
    return any(one.event_id("applied") == event_id for one in before)


def _whole(when: datetime) -> datetime:
    """To the millisecond, as a letter's headers tell the time; in doubt an edit is newer."""
    when = when.astimezone(UTC)
    return when - timedelta(microseconds=when.microsecond % 1000)


async def read_history(
    session: Session, letters: Sequence[Letter], events: list[Event] | None = None
) -> JobHistory:
    """All that the journal tells of the letters' jobs since the first of them was received.

    The whole journal is read when a letter's own event was not among that: then the clock that it
    was dated by was wrong. It is read as well when an edit seems newer than a letter by the clocks
    alone, for an old one may have been sent again. `events` takes the events that were read first.
    Raises `SessionError`, of the kind `NO_STREAM` where there is no journal.
    """
    history = JobHistory.of(letters)
    if not letters:
        return history
    since = _since(letters)
    async for entry in session.journal(since):
        if history.wants(entry.properties.message_id, entry.body):
            event = history.hear(entry.body, place_in(entry.properties.headers.text(PLACE_HEADER)))
            if event is not None and events is not None:
                events.append(event)
    is_complete = all(map(history.has_heard, letters))
    if since == "first" or (is_complete and not any(map(history.is_doubtful, letters))):
        return history
    async for entry in session.journal("first"):
        if not history.wants(entry.properties.message_id, entry.body):
            continue
        if is_complete:
            history.hear_begin(entry.body)
        else:
            history.hear(entry.body, place_in(entry.properties.headers.text(PLACE_HEADER)))
    return history


def _since(letters: Sequence[Letter]) -> Offset:
    received = [letter.received_at for letter in letters if letter.received_at is not None]
    return min(received) - MARGIN if len(received) == len(letters) else "first"
