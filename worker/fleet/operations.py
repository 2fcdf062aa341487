"""What operators do, recorded before it is done: nothing happens that cannot be recorded."""

from __future__ import annotations

import asyncio
import getpass
import socket
from collections import defaultdict
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

from pydantic_core import to_json

from schemas import OperationRecord, read_operation
from worker.amqp.session import FailureKind, SessionError
from worker.core.message import PERSISTENT, ConfirmResult, Properties, Publication

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from pydantic import BaseModel

    from schemas import Action
    from worker.amqp.session import Session

RECORD_TYPE = "task-edit.operation.v1"
CONTROL_TYPE = "task-edit.control.v1"
IDS_AT_MOST = 1000
MARGIN = timedelta(minutes=5)
"""Streams are found by the broker's clock, records carry that of whoever wrote them."""


def local_actor() -> str:
    """Who is at this terminal, as far as the machine knows: a claim, for people to read."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = "unknown"
    return f"{name}@{socket.gethostname()}"


@dataclass(slots=True)
class Operation:
    """An operation under way; `result` is recorded when it ends."""

    id: str
    result: dict[str, Any] = field(default_factory=dict)


def begun(
    action: Action,
    *,
    what: dict[str, Any],
    why: str | None = None,
    count: int | None = None,
    ids: Iterable[str] = (),
    actor: str | None = None,
    via: Literal["cli", "console"] = "cli",
) -> OperationRecord:
    """The record that an operation begins; without an `actor`, by whoever is at this terminal."""
    return OperationRecord(
        id=str(uuid4()),
        phase="begun",
        at=datetime.now(UTC),
        actor=actor or local_actor(),
        via=via,
        action=action,
        filter=what,
        count=count,
        ids=tuple(islice(ids, IDS_AT_MOST)),
        why=why,
    )


@asynccontextmanager
async def recorded(session: Session, begin: OperationRecord) -> AsyncIterator[Operation]:
    """Record that an operation begins, have it done, and record how it ended.

    Raises `SessionError` before anything is done when the record is not confirmed. If what is
    done raises or is cancelled, the record says so, by another connection if this one is lost.
    """
    operation = Operation(begin.id)
    try:
        await _write(session, begin)
    except SessionError as error:
        why = f"not done, for it cannot be recorded: {error.failure.why}"
        raise SessionError(error.failure.kind, why) from None
    try:
        yield operation
    except BaseException as error:
        operation.result.setdefault("failed", _why(error))
        raise
    finally:
        end = {"phase": "ended", "at": datetime.now(UTC), "result": operation.result}
        await _end(session, begin.model_copy(update=end))


def _why(error: BaseException) -> str:
    match error:
        case SessionError(failure=failure):
            return failure.why
        case asyncio.CancelledError():
            return "stopped"
        case _:
            return type(error).__name__


async def _end(session: Session, record: OperationRecord) -> None:
    try:
        await _write(session, record)
    except SessionError:
        with suppress(SessionError):
            async with session.another() as fresh:
                await _write(fresh, record)


async def _write(session: Session, record: OperationRecord) -> None:
    signed = record.model_copy(update={"user": session.user})
    await write(session, session.names.operations, RECORD_TYPE, signed)


@dataclass(slots=True)
class Entry:
    """An operation, as far as its records were found."""

    begun: OperationRecord
    ended: OperationRecord | None = None
    vouched: bool = False
    """RabbitMQ itself vouches for the user."""


async def operations(session: Session, since: datetime | None = None) -> list[Entry]:
    """Every operation that began at or after `since`, in the order of the stream."""
    found: dict[str, Entry] = {}
    offset = "first" if since is None else since - MARGIN
    async for delivery in session.stream(session.names.operations, offset):
        record = read_operation(delivery.body)
        if record is None:
            continue
        if record.phase == "ended":
            entry = found.get(record.id)
            if entry is not None:
                entry.ended = record
        else:
            user = delivery.properties.user_id
            found[record.id] = Entry(record, vouched=user is not None and user == record.user)
    entries = found.values()
    return [entry for entry in entries if since is None or entry.begun.at >= since]


def by_event(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    """The operations on each letter, by the id of the letter's event.

    A record names a thousand letters at most: of the others of a larger operation nothing is known.
    """
    found: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        for event_id in entry.begun.ids:
            found[event_id].append(entry)
    return found


async def write(session: Session, stream: str, kind: str, entry: BaseModel) -> None:
    """Append an entry to a stream, confirmed; RabbitMQ vouches for the user that wrote it.

    Raises `SessionError` when the stream does not have it.
    """
    properties = Properties(
        content_type="application/json",
        delivery_mode=PERSISTENT,
        type=kind,
        user_id=session.user,
        timestamp=int(datetime.now(UTC).timestamp()),
    )
    fate = await session.publish(Publication("", stream, to_json(entry), properties))
    if fate is not ConfirmResult.CONFIRMED:
        missing = fate is ConfirmResult.UNROUTABLE
        raise SessionError(
            FailureKind.NO_STREAM if missing else FailureKind.REFUSED,
            f"there is no stream {stream}: `taskedit topology apply` declares it"
            if missing
            else f"the stream {stream} does not take the record",
        )
