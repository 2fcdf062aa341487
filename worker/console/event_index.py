"""The newest events of the journal, found by job, message id, account and outcome."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, cast

from pydantic import ValidationError

from schemas import encode, read_event
from worker.console.causes import cause_of
from worker.console.model import EventRow, JournalState, Page
from worker.console.store import in_turns, instant, known_instant, micros, storable, whole
from worker.core.identity import place_in
from worker.deadletters.history import JobHistory

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from datetime import datetime

    from schemas import Event, Outcome, Reason
    from worker.console.causes import Cause
    from worker.console.model import EventFilter
    from worker.deadletters.letter import Letter

EVENTS_AT_MOST: Final = 1_000_000
TRIM_BY: Final = 1000
_BUCKET_SECONDS: Final = 30
_BUCKET: Final = _BUCKET_SECONDS * 1_000_000
"""Microseconds that are counted together."""
QUARTER: Final = 30
HOUR: Final = 120
"""So many of these are a quarter of an hour, and an hour."""
NO_ACCOUNT: Final = "-"
MARGIN: Final = timedelta(minutes=5)
"""How far the clocks of workers may be apart without the journal being asked itself."""
_COLUMNS: Final = (
    "place, stood, id, at, outcome, account, app, job, message_id, correlation_id, reason, status,"
    " api_reason, detail, fields, attempts, superseded_by, received"
)
"""From the third on in the order of an `EventRow`."""
_INSERT: Final = f"INSERT OR IGNORE INTO events ({_COLUMNS}) VALUES ({','.join('?' * 18)})"


class EventIndex:
    """Takes in events by their place in the journal, in any order of places."""

    def __init__(self, database: sqlite3.Connection, at_most: int = EVENTS_AT_MOST) -> None:
        self.at_most = at_most
        self.recent = Recent()
        self.is_complete = False
        """Whether it goes back to the journal's beginning."""
        self.why: str | None = None
        """Why the journal cannot be read."""
        self._database = database
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, place: int, body: bytes, stood: str | None = None) -> Event | None:
        """Take in one event; None for what is none, or has been taken in before.

        A second publication of an event is another place of it, and counts. `stood`: where its
        edit stood in its lane, as its headers say.
        """
        try:
            event = read_event(body)
        except ValidationError:
            return None
        data = event.data
        problems = [(each.field, each.problem) for each in data.fields]
        row = (
            place, stood, event.id, micros(event.time), data.outcome, data.account, data.appId,
            data.jobId, data.messageId, data.correlationId,
            None if data.reason is None else data.reason.value, data.apiStatus, data.apiReason,
            data.detail, json.dumps(problems) if problems else None, data.attempts,
            data.supersededBy, micros(data.receivedAt),
        )  # fmt: skip
        if not self._database.execute(_INSERT, row).rowcount:
            return None
        self._count += 1
        self.recent.add(event)
        if self._count >= self.at_most + TRIM_BY:
            self._trim()
        return event

    def knows(self, event_id: str, before: int) -> bool:
        """Whether a rejected event of that id had been published before that place."""
        where = "id = ? AND outcome = 'rejected' AND place < ?"
        found = self._database.execute(f"SELECT 1 FROM events WHERE {where}", (event_id, before))
        return found.fetchone() is not None

    def state(self) -> JournalState:
        """How much is known."""
        ends = "SELECT at FROM events ORDER BY place {} LIMIT 1"
        oldest, newest = (
            self._database.execute(ends.format(order)).fetchone() for order in ("ASC", "DESC")
        )
        return JournalState(
            back_to=instant(oldest[0]) if oldest else None,
            newest=instant(newest[0]) if newest else None,
            is_complete=self.is_complete,
            events=self._count,
            why=self.why,
        )

    def page(
        self, wanted: EventFilter, cursor: str | None = None, limit: int = 100
    ) -> Page[EventRow]:
        """Events that are meant, the newest first; `cursor` is the `next` of the page before."""
        few = wanted.job is not None or wanted.message_id is not None
        plain = "+" if few else ""  # its own index finds those, not that of an account
        terms: dict[str, object] = {
            f"{plain}account = ?": wanted.account,
            f"{plain}outcome = ?": wanted.outcome,
            "job = ?": storable(wanted.job),
            "message_id = ?": wanted.message_id,
            "place < ?": whole(cursor or ""),
        }
        given = {term: value for term, value in terms.items() if value is not None}
        where = " AND ".join(given) or "1"
        found = self._database.execute(
            f"SELECT {_COLUMNS} FROM events WHERE {where} ORDER BY place DESC LIMIT ?",
            (*given.values(), limit + 1),
        ).fetchall()
        more = str(found[limit - 1][0]) if len(found) > limit else None
        return Page(tuple(_row(*each) for _, _, *each in found[:limit]), more)

    async def history(self, letters: Sequence[Letter]) -> JobHistory | None:
        """What the journal knows of the jobs of some letters; None if it must be asked itself.

        It must when events since the first of them was received may be missing here, or when an
        edit seems newer by the clocks alone, and not all of the journal is known.
        """
        history, heard = JobHistory.of(letters), set[tuple[str, object]]()
        async for letter in in_turns(letters):
            job, whose = letter.head.job_id, letter.identity
            term = ("job", job) if job else ("message_id", whose.message_id if whose else "")
            if term not in heard:
                heard.add(term)
                self._tell(history, *term)
        received = [letter.received_at for letter in letters]
        oldest = min((at for at in received if at is not None), default=None)
        back_to = self.state().back_to
        is_covered = None not in received and oldest and back_to and back_to <= oldest - MARGIN
        if self.is_complete or (
            is_covered
            and all(map(history.has_heard, letters))
            and not any(map(history.is_doubtful, letters))
        ):
            return history
        return None

    def _tell(self, history: JobHistory, column: str, value: object) -> None:
        query = f"SELECT {_COLUMNS} FROM events WHERE {column} = ? ORDER BY place"
        for _, stood, *columns in self._database.execute(query, (value,)).fetchall():
            row = _row(*columns)
            body = encode(
                event_id=row.id,
                outcome=cast("Outcome", row.outcome),
                message_id=row.message_id,
                correlation_id=row.correlation_id,
                account=row.account,
                app_id=row.app_id,
                job_id=row.job_id,
                attempts=row.attempts,
                received_at=row.received_at,
                finished_at=row.at,
                reason=None if row.reason is None else cast("Reason", row.reason),
                detail=row.detail,
                api_status=row.status,
                superseded_by=row.superseded_by,
            )
            history.hear(body, place_in(stood))

    def _trim(self) -> None:
        oldest = "SELECT place FROM events ORDER BY place LIMIT ?"
        self._database.execute(f"DELETE FROM events WHERE place IN ({oldest})", (TRIM_BY,))
        self._count -= TRIM_BY
        self.is_complete = False


@dataclass(slots=True)
class _Bucket:
    """What ended within half a minute: each count by account."""

    calls: Counter[str] = field(default_factory=Counter)
    statuses: Counter[tuple[str, str]] = field(default_factory=Counter)
    causes: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Rejections, by account and the id of their cause."""
    named: dict[str, Cause] = field(default_factory=dict)
    """Those causes, by id."""


class Recent:
    """The last hour, counted; no event is kept."""

    def __init__(self) -> None:
        self._buckets: dict[int, _Bucket] = {}

    def add(self, event: Event) -> None:
        """Count one event, if it is not older than an hour before the newest."""
        number, data = micros(event.time) // _BUCKET, event.data
        if number not in self._buckets:
            if self._buckets and number <= max(self._buckets) - HOUR:
                return
            self._buckets[number] = _Bucket()
            newest = max(self._buckets)
            self._buckets = {n: one for n, one in self._buckets.items() if n > newest - HOUR}
        bucket, account = self._buckets[number], data.account or NO_ACCOUNT
        bucket.calls[account] += data.attempts
        if data.apiStatus is not None:
            bucket.statuses[account, data.apiStatus] += 1
        if data.outcome == "rejected" and data.reason is not None:
            cause = cause_of(data.reason.value, data.apiStatus or "", data.detail or "")
            bucket.named[cause.id] = cause
            bucket.causes[account, cause.id] += 1

    def used(self, now: datetime) -> dict[str, tuple[float, ...]]:
        """Calls a second of each account: a quarter of an hour, oldest first."""
        last = micros(now) // _BUCKET
        found: dict[str, list[float]] = {}
        for position in range(QUARTER):
            bucket = self._buckets.get(last - QUARTER + 1 + position)
            for account, calls in bucket.calls.items() if bucket else ():
                rates = found.setdefault(account, [0.0] * QUARTER)
                rates[position] = round(calls / _BUCKET_SECONDS, 2)
        return {account: tuple(rates) for account, rates in found.items()}

    def statuses(self, now: datetime) -> dict[str, tuple[tuple[str, int], ...]]:
        """API statuses of each account in the last quarter of an hour, most frequent first."""
        total: Counter[tuple[str, str]] = Counter()
        for bucket in self._since(now, QUARTER):
            total.update(bucket.statuses)
        found: dict[str, list[tuple[str, int]]] = {}
        for (account, status), count in total.most_common():
            found.setdefault(account, []).append((status, count))
        return {account: tuple(counts) for account, counts in found.items()}

    def rejections(self, now: datetime) -> list[tuple[str, Cause, int]]:
        """Account, cause, and how many died of it in the last hour; the most first."""
        total: Counter[tuple[str, str]] = Counter()
        named: dict[str, Cause] = {}
        for bucket in self._since(now, HOUR):
            total.update(bucket.causes)
            named |= bucket.named
        return [(account, named[id_], count) for (account, id_), count in total.most_common()]

    def _since(self, now: datetime, buckets: int) -> list[_Bucket]:
        first = micros(now) // _BUCKET - buckets + 1
        return [bucket for number, bucket in self._buckets.items() if number >= first]


def _row(id_: str, at: int, *columns: Any) -> EventRow:  # noqa: ANN401 (as the database gives them)
    *texts, problems, attempts, superseded_by, received = columns
    fields = tuple(map(tuple, json.loads(problems or "[]")))
    values = known_instant(at), *texts, fields, attempts, superseded_by, known_instant(received)
    return EventRow(id_, *values)
