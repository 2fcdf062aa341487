"""What operators do, recorded before it is done: nothing happens that cannot be recorded."""

from __future__ import annotations

import getpass
import socket
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

from pydantic_core import to_json

from schemas import OperationRecord
from worker.amqp.session import FailureKind, SessionError, run
from worker.core.message import PERSISTENT, ConfirmResult, Properties, Publication

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from pydantic import BaseModel

    from schemas import Action
    from worker.amqp.session import Broker, Session

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
async def recorded(  # noqa: PLR0913 - one keyword for each fact of the record
    session: Session,
    action: Action,
    *,
    what: dict[str, Any],
    why: str | None = None,
    count: int | None = None,
    ids: tuple[str, ...] = (),
    actor_: str | None = None,
    via: Literal["cli", "console"] = "cli",
) -> AsyncIterator[Operation]:
    """Record that an operation begins, have it done, and record how it ended.

    Raises `SessionError` before anything is done when the record is not confirmed. If what is
    done raises, the record says so, as far as RabbitMQ can still be reached.
    """
    begun = _begun(action, what=what, why=why, count=count, ids=ids, actor_=actor_, via=via)
    operation = Operation(begun.id)
    await _write(session, begun)
    try:
        yield operation
    except SessionError as error:
        operation.result.setdefault("failed", error.failure.why)
        await _write(session, _ended(begun, operation))
        raise
    else:
        await _write(session, _ended(begun, operation))


@contextmanager
def recording(
    broker: Broker,
    action: Action,
    *,
    what: dict[str, Any],
    why: str | None = None,
    count: int | None = None,
    ids: tuple[str, ...] = (),
) -> Iterator[Operation]:
    """The same around a command that has connections of its own.

    Raises `SessionError` before anything is done when the record is not confirmed.
    """
    begun = _begun(action, what=what, why=why, count=count, ids=ids)
    operation = Operation(begun.id)
    failure = run(broker, lambda session: _write(session, begun))
    if failure is not None:
        raise SessionError(failure.kind, f"not done, for it cannot be recorded: {failure.why}")
    try:
        yield operation
    except Exception as error:
        operation.result.setdefault("failed", type(error).__name__)
        raise
    finally:
        run(broker, lambda session: _write(session, _ended(begun, operation)))


def _begun(
    action: Action,
    *,
    what: dict[str, Any],
    why: str | None,
    count: int | None,
    ids: tuple[str, ...],
    actor_: str | None = None,
    via: Literal["cli", "console"] = "cli",
) -> OperationRecord:
    return OperationRecord(
        id=str(uuid4()),
        phase="begun",
        at=datetime.now(UTC),
        actor=actor_ or actor(),
        via=via,
        action=action,
        filter=what,
        count=count,
        ids=ids[:IDS_AT_MOST],
        why=why,
    )


def _ended(begun: OperationRecord, operation: Operation) -> OperationRecord:
    return begun.model_copy(
        update={"phase": "ended", "at": datetime.now(UTC), "result": operation.result}
    )


async def _write(session: Session, record: OperationRecord) -> None:
    signed = record.model_copy(update={"user": session.user})
    await write(session, session.names.operations, RECORD_TYPE, signed)


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
