"""What operators do, recorded before it is done: nothing happens that cannot be recorded."""

from __future__ import annotations

import getpass
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from pydantic_core import to_json

from schemas import OperationRecord
from worker.amqp.session import FailureKind, SessionError
from worker.core.delivery import PERSISTENT, Properties, Publication
from worker.settler import Fate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pydantic import BaseModel

    from schemas import Action
    from worker.amqp.session import Session

RECORD_TYPE = "task-edit.operation.v1"
CONTROL_TYPE = "task-edit.control.v1"
IDS_AT_MOST = 1000


def actor() -> str:
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


@asynccontextmanager
async def recorded(
    session: Session,
    action: Action,
    *,
    what: dict[str, Any],
    why: str | None = None,
    count: int | None = None,
    ids: tuple[str, ...] = (),
) -> AsyncIterator[Operation]:
    """Record that an operation begins, have it done, and record how it ended.

    Raises `SessionError` before anything is done when the record is not confirmed. If what is
    done raises, the record says so, as far as RabbitMQ can still be reached.
    """
    operation = Operation(str(uuid4()))
    begun = OperationRecord(
        id=operation.id,
        phase="begun",
        at=datetime.now(UTC),
        actor=actor(),
        user=session.user,
        via="cli",
        action=action,
        filter=what,
        count=count,
        ids=ids[:IDS_AT_MOST],
        why=why,
    )
    await write(session, session.names.operations, RECORD_TYPE, begun)
    try:
        yield operation
    except SessionError as error:
        operation.result.setdefault("failed", error.failure.why)
        await _ended(session, begun, operation)
        raise
    else:
        await _ended(session, begun, operation)


async def _ended(session: Session, begun: OperationRecord, operation: Operation) -> None:
    ended = begun.model_copy(
        update={"phase": "ended", "at": datetime.now(UTC), "result": operation.result}
    )
    await write(session, session.names.operations, RECORD_TYPE, ended)


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
    if fate is not Fate.CONFIRMED:
        missing = fate is Fate.UNROUTABLE
        raise SessionError(
            FailureKind.NO_STREAM if missing else FailureKind.REFUSED,
            f"there is no stream {stream}: `taskedit topology apply` declares it"
            if missing
            else f"the stream {stream} does not take the record",
        )
