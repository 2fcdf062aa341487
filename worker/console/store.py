"""The console's own memory: a private temporary database, gone with the process.

Nothing in it is a truth of its own: all of it can be read from RabbitMQ again.
"""

from __future__ import annotations

import asyncio
import sqlite3
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

_CACHE_KIB: Final = 48 * 1024
_DIGITS: Final = 19
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_SCHEMA: Final = """
CREATE TABLE letters (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, cause TEXT NOT NULL, reason TEXT NOT NULL,
    status TEXT NOT NULL, detail TEXT NOT NULL, account TEXT NOT NULL, app TEXT, job INTEGER,
    message_id TEXT, event_id TEXT NOT NULL, died INTEGER NOT NULL, redrives INTEGER,
    attempts TEXT NOT NULL, size INTEGER, copies INTEGER NOT NULL, digest BLOB, message BLOB,
    generation INTEGER NOT NULL
);
CREATE TABLE contents (
    id INTEGER PRIMARY KEY, properties TEXT NOT NULL, headers BLOB NOT NULL, body BLOB NOT NULL
);
CREATE TABLE events (
    place INTEGER PRIMARY KEY, id TEXT NOT NULL, at INTEGER NOT NULL, outcome TEXT NOT NULL,
    account TEXT, app TEXT, job INTEGER, message_id TEXT, correlation_id TEXT, reason TEXT,
    status TEXT, api_reason TEXT, detail TEXT, fields TEXT, attempts INTEGER NOT NULL,
    superseded_by TEXT, received INTEGER NOT NULL, stood TEXT
);
CREATE INDEX events_job ON events (job);
CREATE INDEX events_message ON events (message_id);
CREATE INDEX events_account ON events (account);
CREATE INDEX events_outcome ON events (outcome);
CREATE INDEX events_account_outcome ON events (account, outcome);
CREATE INDEX events_rejected_id ON events (id) WHERE outcome = 'rejected';
CREATE TABLE touched (event_id TEXT NOT NULL, operation TEXT NOT NULL);
CREATE INDEX touched_event ON touched (event_id);
CREATE INDEX touched_operation ON touched (operation);
"""
LETTER_INDEXES: Final = """
CREATE INDEX IF NOT EXISTS letters_died ON letters (died, key);
CREATE INDEX IF NOT EXISTS letters_cause ON letters (cause, died, account, app, copies);
CREATE INDEX IF NOT EXISTS letters_job ON letters (job);
CREATE INDEX IF NOT EXISTS letters_message ON letters (message_id);
CREATE INDEX IF NOT EXISTS letters_whose ON letters (message, redrives)
"""
"""Made after the first look, which fills the table in a third of the time without them."""


TOGETHER: Final = 200
"""Of what is worked off in turns: so many at once."""
Item = TypeVar("Item")


async def in_turns(items: Iterable[Item]) -> AsyncIterator[Item]:
    """The items; others, such as heartbeats to RabbitMQ, have their turn after each `TOGETHER`."""
    for number, item in enumerate(items):
        if number % TOGETHER == 0:
            await asyncio.sleep(0)
        yield item


def opened() -> sqlite3.Connection:
    """An empty database in a temporary file that only this process can reach."""
    database = sqlite3.connect("", isolation_level=None)
    database.executescript(
        f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -{_CACHE_KIB};"
    )
    database.executescript(_SCHEMA)
    database.execute("BEGIN")  # for good: nothing is ever rolled back, and each end would cost
    return database


def micros(when: datetime | None) -> int:
    """An aware datetime as microseconds since 1970; 0 for none."""
    return 0 if when is None else (when - _EPOCH) // _MICROSECOND


def instant(micros_: int) -> datetime | None:
    """The reverse of `micros`."""
    return known_instant(micros_) if micros_ else None


def storable(number: int | None) -> int | None:
    """A number that somebody asks for, as the database can hold it; -1, which nothing has, else."""
    return number if number is None or 0 <= number < 2**63 else -1


def whole(text: str) -> int | None:
    """A whole number of 64 bits in decimal digits; None for any other text."""
    if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS):
        return None
    return number if (number := int(text)) < 2**63 else None


def known_instant(micros_: int) -> datetime:
    """The reverse of `micros` for a time that is always known."""
    return _EPOCH + timedelta(microseconds=micros_)
