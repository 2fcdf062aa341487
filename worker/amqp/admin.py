"""RabbitMQ asked what it holds and what a user may do, without anything being changed.

What a user may do is asked by `exchange.unbind`: RabbitMQ checks first whether the user may write
to the destination, then whether it may read the source, and only then looks for either; to unbind
what was never bound is no error. Names are all that counts, so a queue's name serves as well as an
exchange's.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar
from uuid import uuid4

from worker.amqp.session import (
    ACCESS_REFUSED,
    NOT_FOUND,
    ChannelClosedError,
    FailureKind,
    SessionError,
)
from worker.amqp.topology import APPLY, MISMATCH, Binding, described, replaced
from worker.core.message import Properties, Publication

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from worker.amqp.session import Channel, Session
    from worker.amqp.topology import Object

Result = TypeVar("Result")

BLOCKED_AT_MOST = 5.0
"""Seconds to wait for an answer that an alarm of RabbitMQ's may hold up."""
PRUNE = "taskedit topology prune"


class ObjectState(StrEnum):
    """How an object compares."""

    GOOD = "good"
    MISSING = "missing"
    DIFFERS = "differs"
    LEFT_OVER = "left over"
    """It was needed once: nothing serves it."""
    UNVERIFIED = "unverified"
    """It may be good: nobody here could see."""


@dataclass(frozen=True, slots=True)
class ObjectCheck:
    """One object, and how what RabbitMQ holds compares to it."""

    item: Object
    state: ObjectState
    detail: str = ""
    mend: str = ""
    """The command that puts it right, if it has to be."""

    @property
    def name(self) -> str:
        """The object in words."""
        absent = isinstance(self.item, Binding) and self.item.absent
        return f"{'no ' if absent else ''}{described(self.item)}"


async def declared(
    session: Session, item: Object, *, passive: bool = False
) -> ChannelClosedError | None:
    """Have an object, or (`passive`) see that it exists; RabbitMQ's refusal, if it refuses."""
    return await _asked(session, lambda channel: channel.declare(item, passive=passive))


async def count(session: Session, queue: str) -> tuple[int, int] | ChannelClosedError:
    """How many messages are ready in a queue and how many consume it, or RabbitMQ's refusal."""
    return await _asked(session, lambda channel: channel.counts(queue))


async def _asked(
    session: Session, question: Callable[[Channel], Awaitable[Result]]
) -> Result | ChannelClosedError:
    """The answer to a question on a channel of its own, or RabbitMQ's refusal.

    Raises `SessionError` when the connection is lost.
    """
    channel = await session.channel()
    try:
        answer = await question(channel)
    except ChannelClosedError as error:
        if error.code is None:
            raise
        return error
    channel.close()
    return answer


async def ready(session: Session, queue: str) -> int | None:
    """How many messages are ready in a queue; None when it is not there, or not to be seen."""
    found = await count(session, queue)
    return None if isinstance(found, ChannelClosedError) else found[0]


async def check(session: Session, items: Iterable[Object], *, compare: bool) -> list[ObjectCheck]:
    """A finding for each object, in the same order.

    `compare` declares anew what exists already, which changes nothing: RabbitMQ compares the
    arguments (before 4.3 not `x-consumer-timeout`) and refuses others. AMQP has no
    way to see bindings.
    """
    return [await _finding(session, item, compare=compare) for item in items]


async def _finding(session: Session, item: Object, *, compare: bool) -> ObjectCheck:
    if isinstance(item, Binding):
        return ObjectCheck(item, ObjectState.UNVERIFIED, "AMQP cannot show bindings")
    refusal = await declared(session, item, passive=True)
    if refusal is None and not compare:
        detail = "it exists; its arguments were not compared"
        return ObjectCheck(item, ObjectState.UNVERIFIED, detail)
    refusal = refusal or await declared(session, item)
    if refusal is None:
        return ObjectCheck(item, ObjectState.GOOD)
    return refused(session, item, refusal)


def refused(session: Session, item: Object, refusal: ChannelClosedError) -> ObjectCheck:
    """What it means that RabbitMQ would not declare an object."""
    if refusal.code == NOT_FOUND:
        return ObjectCheck(item, ObjectState.MISSING, mend=APPLY)
    if refusal.code == ACCESS_REFUSED:
        return ObjectCheck(item, ObjectState.UNVERIFIED, refusal.text)
    mend = replaced(item, session.virtual_host) if refusal.code == MISMATCH else ""
    return ObjectCheck(item, ObjectState.DIFFERS, refusal.text, mend)


async def may_publish_to_queues(session: Session) -> bool:
    """Whether the user may publish to the default exchange; what is published goes nowhere.

    Raises `SessionError` where RabbitMQ takes no publications for an alarm.
    """
    nothing = Publication("", f"no-such-{uuid4().hex}", b"", Properties())
    try:
        async with asyncio.timeout(BLOCKED_AT_MOST):
            await session.publish(nothing)
    except ChannelClosedError as error:
        if error.code is None:
            raise
        return False
    except TimeoutError:
        why = f"RabbitMQ takes no publications: {session.blocked or 'it does not say why'}"
        raise SessionError(FailureKind.BUSY, why) from None
    return True


async def unwritable(session: Session, names: Iterable[str]) -> list[str]:
    """Those of these names that the user may not write to: publish to, or bind a queue."""
    found = []
    for name in sorted(names):
        refusal = await _unbind(session, name, f"no-such-{uuid4().hex}")
        if refusal is not None and f"'{name}'" in refusal.text:
            found.append(name)
    return found


async def unreadable(session: Session, names: Iterable[str], writable: str) -> list[str]:
    """Those of these names that the user may not read; it may write to `writable`."""
    return [name for name in sorted(names) if await _unbind(session, writable, name) is not None]


async def _unbind(session: Session, destination: str, source: str) -> ChannelClosedError | None:
    """The refusal for want of permission, if any; others say nothing of permissions."""
    key = f"no-such-{uuid4().hex}"
    answer = await _asked(
        session, lambda each: each.call("exchange_unbind", destination, source, key)
    )
    if isinstance(answer, ChannelClosedError) and answer.code == ACCESS_REFUSED:
        return answer
    return None
