"""The dead letters, counted by cause, account, app and hour, and listed page by page.

Filled by a look at the queue, then kept true by events and operations: `begin_look`, `see` for each
batch, `end_look`; `died` for a rejected event, `remove` for what an operation took out.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, fields, replace
from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from pydantic_core import PydanticSerializationError, to_json

from worker.console.causes import Cause, cause_of
from worker.console.model import HOUR, Group, GroupedBy, LetterRow, Page
from worker.console.store import LETTER_INDEXES, instant, known_instant, micros, storable, whole
from worker.core.headers import Headers
from worker.core.message import Delivery, Properties
from worker.deadletters.letter import read
from worker.deadletters.plan import message

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Sequence

    from schemas import Event
    from worker.console.model import LetterFilter
    from worker.deadletters.letter import Letter
    from worker.deadletters.plan import Message

BODY_AT_MOST: Final = 8 * 1024
CONTENTS_AT_MOST: Final = 256 * 1024 * 1024
"""Bytes of one body, and of all contents, that are kept; others are fetched when opened."""
FETCHED_AT_MOST: Final = 16 * 1024 * 1024
"""Bytes of those that were fetched last, so that an editor need not fetch its letter each time."""
FOUND_AT_MOST: Final = 100
"""Letters of one job or message that its page lists; the filter has all of them."""
GROUPINGS_AT_MOST: Final = 64
"""Countings that are remembered until a letter comes or goes."""
NO_ACCOUNT: Final = "-"
_HOUR: Final = 3_600_000_000
_EVENT_ID: Final = re.compile(r"[0-9A-Za-z-]{1,64}")
_PROPERTIES: Final = tuple(each.name for each in fields(Properties) if each.name != "headers")
_values: Final = attrgetter(*_PROPERTIES)
_ROW: Final = (
    "key, cause, reason, status, detail, account, app, job, message_id, event_id, died, redrives,"
    " attempts, size, copies"
)
_SEEN_AGAIN: Final = ", ".join(
    f"{name} = excluded.{name}"
    for name in (*_ROW.split(", "), "digest", "message", "generation")
    if name not in {"key", "event_id", "copies"}
)
_SEE: Final = (
    f"INSERT INTO letters ({_ROW}, digest, message, generation) VALUES ({','.join('?' * 18)})"
    f" ON CONFLICT (key) DO UPDATE SET {_SEEN_AGAIN},"
    " copies = CASE WHEN generation = excluded.generation AND digest IS NOT NULL"
    " THEN copies + 1 ELSE 1 END"
)
_KEEP: Final = "INSERT OR REPLACE INTO contents SELECT id, ?, ?, ? FROM letters WHERE key = ?"
FIRST_COUNT: Final = 500
_NO_CAUSE: Final = Cause("", "", "", (), "")
_GROUPED: Final[dict[GroupedBy, str]] = {
    "cause": "cause",
    "account": "account",
    "app": "coalesce(app, '')",
    "hour": f"died / {_HOUR}",
}


@dataclass(frozen=True, slots=True)
class Kept:
    """A letter with its content, as it was seen."""

    row: LetterRow
    letter: Letter
    delivery: Delivery

    @property
    def size(self) -> int:
        """Bytes of its content."""
        return len(self.delivery.body) + len(self.delivery.properties.headers.table)


class LetterIndex:
    """Every letter that is known to lie dead; nothing here talks to RabbitMQ."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._generation = 0
        self._place = self._count_at = 0
        """Of a look under way: letters seen, and how many there must be to count them anew."""
        self._bytes = 0
        self._fetched: dict[str, Kept] = {}
        """By key, the last one last."""
        self._seen: dict[str, bytes] = {}
        """Of a look under way: the digest of each key."""
        self._by_account: dict[str, int] | None = {}
        """Counted anew when it is None, as are groups that are not among these."""
        self._by_cause: dict[tuple[str, str], int] | None = None
        self._groups: dict[tuple[GroupedBy, LetterFilter], tuple[Group, ...]] = {}

    @property
    def total(self) -> int:
        """How many messages the queue holds by what is known, copies included."""
        return sum(self.by_account().values())

    # What is known

    def begin_look(self) -> None:
        """Every letter that is in the queue from now on will be seen, or die."""
        self._generation += 1
        self._place = self._count_at = 0
        self._seen = {}

    def see(self, deliveries: Sequence[Delivery]) -> list[tuple[str, Letter]]:
        """Take in the next letters of the queue; the key of each, and what it is."""
        found, rows, contents = [], [], []
        for delivery in deliveries:
            self._place += 1
            letter = read(delivery, self._place)
            key = self._key(letter)
            found.append((key, letter))
            if key in self._fetched and self._fetched[key].letter.key != letter.key:
                del self._fetched[key]
            rows.append((
                key, cause_of(letter.reason, letter.status, letter.detail).id, letter.reason,
                letter.status, letter.detail, letter.account or NO_ACCOUNT, letter.head.app_id,
                letter.head.job_id, letter.head.message_id, letter.event_id,
                micros(letter.dead_at), letter.redrives, letter.attempts, letter.size, 1,
                letter.key, _whose(message(letter)), self._generation,
            ))  # fmt: skip
            size = len(delivery.body) + len(delivery.properties.headers.table)
            if len(delivery.body) <= BODY_AT_MOST and self._bytes + size <= CONTENTS_AT_MOST:
                self._bytes += size
                contents.append(_content(key, delivery))
        self._database.executemany(_SEE, rows)
        self._database.executemany(_KEEP, contents)
        if self._place >= self._count_at:
            self._count_at = max(FIRST_COUNT, self._place * 3 // 2)
            self._changed()
        return found

    def _key(self, letter: Letter) -> str:
        key = letter.event_id if _EVENT_ID.fullmatch(letter.event_id) else letter.key.hex()
        if self._seen.setdefault(key, letter.key) != letter.key:
            key = letter.key.hex()
            self._seen.setdefault(key, letter.key)
        return key

    def end_look(self, *, complete: bool) -> None:
        """All have been seen; with `complete` what was not is gone."""
        self._seen = {}
        if complete:
            gone = "generation < ?"
            self._database.execute(f"DELETE FROM letters WHERE {gone}", (self._generation,))
            contents = "contents WHERE id NOT IN (SELECT id FROM letters)"
            self._database.execute(f"DELETE FROM {contents}")
            size = "SELECT coalesce(sum(length(body) + length(headers)), 0) FROM contents"
            self._bytes = self._database.execute(size).fetchone()[0]
        for statement in LETTER_INDEXES.split(";"):
            self._database.execute(statement)
        self._changed()

    def died(self, event: Event) -> bool:
        """Take in a letter by its rejected event: it is in the queue before the event is out.

        False when it is known already, or an operation has had it in hand since.
        """
        query = "SELECT 1 FROM touched WHERE event_id = ?"
        if not self._generation or self._database.execute(query, (event.id,)).fetchone():
            return False
        data = event.data
        reason, status = data.reason.value if data.reason else "", data.apiStatus or ""
        values = (
            event.id, cause_of(reason, status, data.detail or "").id, reason, status,
            data.detail or "", data.account or NO_ACCOUNT, data.appId, data.jobId, data.messageId,
            event.id, micros(data.finishedAt), None, str(data.attempts), None, 1, self._generation,
        )  # fmt: skip
        self._changed()
        added = self._database.execute(
            f"INSERT OR IGNORE INTO letters ({_ROW}, generation)"
            f" VALUES ({','.join('?' * len(values))})",
            values,
        )
        return added.rowcount > 0

    def fetched(self, kept: Kept) -> None:
        """Keep a letter that was fetched, for a while, if its content is not kept for good."""
        self._fetched.pop(kept.row.key, None)
        self._fetched[kept.row.key] = kept
        size = sum(each.size for each in self._fetched.values())
        for key in tuple(self._fetched):
            if size <= FETCHED_AT_MOST:
                break
            size -= self._fetched.pop(key).size

    def remove(self, keys: Iterable[str]) -> None:
        """Forget letters that were taken out of the queue."""
        each = [(key,) for key in keys]
        self._changed()
        of_it = "(SELECT id FROM letters WHERE key = ?)"
        self._database.executemany(f"DELETE FROM contents WHERE id = {of_it}", each)
        self._database.executemany("DELETE FROM letters WHERE key = ?", each)

    # What is asked

    def groups(self, by: GroupedBy, wanted: LetterFilter) -> tuple[Group, ...]:
        """The letters that are meant, counted; the largest group first, hours the newest first."""
        if (by, wanted) not in self._groups:
            if len(self._groups) >= GROUPINGS_AT_MOST:
                self._groups = {}
            self._groups[by, wanted] = tuple(self._grouped(by, wanted))
        return self._groups[by, wanted]

    def _grouped(self, by: GroupedBy, wanted: LetterFilter) -> Iterator[Group]:
        where, given = _where(wanted)
        what = _GROUPED[by]
        accounts: dict[object, set[str]] = {}
        pairs = f"SELECT DISTINCT {what}, account FROM letters WHERE {where}"
        for value, account in self._database.execute(pairs, given):
            accounts.setdefault(value, set()).add(account)
        order = "1 DESC" if by == "hour" else "2 DESC, 1"
        found = self._database.execute(
            f"SELECT {what}, count(*), min(nullif(died, 0)), max(died), min(id)"
            f" FROM letters WHERE {where} GROUP BY 1 ORDER BY {order}",
            given,
        )
        example = "SELECT reason, status, detail FROM letters WHERE id = ?"
        for value, count, oldest, newest, id_ in found.fetchall():
            cause = cause_of(*self._database.execute(example, (id_,)).fetchone())
            told = cause if by == "cause" else _NO_CAUSE
            yield Group(
                by=by,
                id=_group_id(by, value),
                count=count,
                oldest=instant(oldest or 0),
                newest=instant(newest or 0),
                accounts=tuple(sorted(accounts[value])),
                reason=told.reason,
                status=told.status,
                fields=told.fields,
                detail=told.detail,
            )

    def page(
        self, wanted: LetterFilter, cursor: str | None = None, limit: int = 50
    ) -> Page[LetterRow]:
        """Letters that are meant, in the order of their deaths."""
        where, given = _where(wanted)
        count = f"SELECT count(*) FROM letters WHERE {where}"
        total = self._database.execute(count, given).fetchone()[0]
        text, _, key = (cursor or "").partition(".")
        if (at := whole(text)) is not None:
            where += " AND (died, key) > (?, ?)"
            given = (*given, at, key)
        found = self._database.execute(
            f"SELECT {_ROW} FROM letters WHERE {where} ORDER BY died, key LIMIT ?",
            (*given, limit + 1),
        ).fetchall()
        last = found[limit - 1] if len(found) > limit else None
        cursor = None if last is None else f"{last[10]}.{last[0]}"
        return Page(tuple(_row(*each) for each in found[:limit]), cursor, total)

    def rows(self, keys: Sequence[str]) -> list[LetterRow]:
        """The letters with these keys, as far as there are such, in the order of the keys."""
        query = f"SELECT {_ROW} FROM letters WHERE key = ?"
        found = (self._database.execute(query, (key,)).fetchone() for key in keys)
        return [_row(*each) for each in found if each is not None]

    def keys(self, wanted: LetterFilter) -> list[str]:
        """The keys of all letters that are meant, in the order of their deaths."""
        where, given = _where(wanted)
        query = f"SELECT key FROM letters WHERE {where} ORDER BY died, key"
        return [key for (key,) in self._database.execute(query, given)]

    def kept(self, key: str) -> Kept | None:
        """A letter with its content; None when that is not kept, or there is no such letter."""
        query = (
            "SELECT properties, headers, body FROM contents JOIN letters USING (id)"
            " WHERE key = ? AND digest IS NOT NULL"
        )
        found = self._database.execute(query, (key,)).fetchone()
        rows = self.rows((key,))
        if rows and key in self._fetched:
            return replace(self._fetched[key], row=rows[0])
        if found is None or not rows:
            return None
        properties, headers, body = found
        routing_key, *values = json.loads(properties)
        said = dict(zip(_PROPERTIES, values, strict=True))
        delivery = Delivery(
            0,
            "",
            routing_key,
            redelivered=False,
            properties=Properties(headers=Headers(headers), **said),
            body=body,
            received_at=known_instant(0),
        )
        return Kept(rows[0], read(delivery, 0), delivery)

    def newest(self, messages: Iterable[Message]) -> dict[Message, int]:
        """The highest redrive count of the dead letters of each message."""
        query = "SELECT max(redrives) FROM letters WHERE message = ?"
        found = ((each, self._database.execute(query, (_whose(each),))) for each in messages)
        return {each: cursor.fetchone()[0] or 0 for each, cursor in found}

    def by_account(self) -> dict[str, int]:
        """How many letters each account has."""
        if self._by_account is None:
            query = "SELECT account, sum(copies) FROM letters GROUP BY account"
            self._by_account = dict(self._database.execute(query))
        return self._by_account

    def by_cause(self) -> dict[tuple[str, str], int]:
        """How many letters each account has of each cause, by both."""
        if self._by_cause is None:
            query = "SELECT account, cause, count(*) FROM letters GROUP BY cause, account"
            found = self._database.execute(query)
            self._by_cause = {(account, cause): count for account, cause, count in found}
        return self._by_cause

    def of_job(self, job: int) -> list[LetterRow]:
        """The first letters of a job."""
        return self._found("job = ?", storable(job))

    def of_message(self, text: str) -> list[LetterRow]:
        """The letters of a message id, or of an event's id."""
        return [*self._found("message_id = ?", text), *self._found("key = ?", text)]

    def _found(self, where: str, value: object) -> list[LetterRow]:
        query = f"SELECT {_ROW} FROM letters WHERE {where} ORDER BY died, key LIMIT {FOUND_AT_MOST}"
        return [_row(*each) for each in self._database.execute(query, (value,))]

    def _changed(self) -> None:
        self._by_account = self._by_cause = None
        if self._groups:
            self._groups = {}


def _content(key: str, delivery: Delivery) -> tuple[object, ...]:
    """A row for `_KEEP`."""
    had = delivery.properties
    return _json((delivery.routing_key, *_values(had))), had.headers.table, delivery.body, key


def _json(values: tuple[object, ...]) -> str:
    try:
        return to_json(values).decode()
    except PydanticSerializationError:  # bytes that are no UTF-8, as surrogates
        return json.dumps(values)


def _where(wanted: LetterFilter) -> tuple[str, tuple[object, ...]]:
    """The filter as a condition, and the values in it."""
    told: dict[str, object] = {
        "cause = ?": wanted.cause,
        "account = ?": wanted.account,
        "coalesce(app, '') = ?": wanted.app,
        f"died / {_HOUR} = ?": _hour(wanted.hour),
        "reason = ?": wanted.reason,
        "status = ?": wanted.status,
        "job = ?": storable(wanted.job),
        "message_id = ?": wanted.message_id,
        "died <= ?": _moment(wanted.died_before),
    }
    given = {term: value for term, value in told.items() if value is not None}
    return " AND ".join(given) or "1", tuple(given.values())


def _whose(message_: Message) -> bytes:
    account, message_id, digest = message_
    return f"{account}\x1f{message_id}\x1f".encode(errors="replace") + digest


def _hour(text: str | None) -> int | None:
    if not text:  # of letters that do not say when they died
        return None if text is None else 0
    return (_moment(f"{text}:00:00+00:00") or 0) // _HOUR


def _moment(text: str | None) -> int | None:
    """RFC 3339 in microseconds; what is none is long ago, so that no letter is meant."""
    try:
        return None if text is None else micros(datetime.fromisoformat(text))
    except (ValueError, TypeError):
        return -1


def _group_id(by: GroupedBy, value: object) -> str:
    """What a filter takes for a group."""
    if by == "hour" and isinstance(value, int):
        return known_instant(value * _HOUR).strftime(HOUR) if value else ""
    return str(value)


def _row(key: str, *columns: Any) -> LetterRow:  # noqa: ANN401 (as the database gives them)
    cause, reason, status, detail, account, *ids, died, redrives, attempts, size, copies = columns
    why = cause, reason, status, cause_of(reason, status, detail).fields, detail
    whose = (None if account == NO_ACCOUNT else account), *ids
    values = *why, *whose, instant(died), redrives, attempts, size, copies
    return LetterRow(key, *values)
