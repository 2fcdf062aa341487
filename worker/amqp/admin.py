"""RabbitMQ asked one thing after the other, for commands that look and declare.

What RabbitMQ holds against what it should, as far as AMQP can tell.

What a user may do, asked without doing anything.

RabbitMQ checks `exchange.unbind` before it looks for either exchange: first whether the user may
write to the destination, then whether it may read the source; to unbind what was never bound is
no error. Names are all that counts, so a queue's name serves as well as an exchange's.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Self, TypeVar
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from pika import BlockingConnection
from pika.exceptions import AMQPError, ChannelClosedByBroker

from worker.amqp import codec as wire
from worker.amqp.connection import TROUBLE, parameters, reason, shown
from worker.amqp.topology import Binding, Exchange, Queue, described

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import timedelta

    from pika.adapters.blocking_connection import BlockingChannel

    from worker.amqp.topology import Object


Answer = TypeVar("Answer")

BLOCKED_AT_MOST = 5.0
"""Seconds that RabbitMQ may leave us waiting for an alarm to end; then the connection is lost."""
NOT_FOUND, ACCESS_REFUSED, LOCKED, MISMATCH = 404, 403, 405, 406


@dataclass(frozen=True, slots=True)
class Refusal:
    """RabbitMQ would not do it, and closed the channel."""

    code: int
    """Of AMQP 0-9-1: see `NOT_FOUND` and its neighbours."""
    text: str


@dataclass(frozen=True, slots=True)
class Unreachable:
    """There is no connection: one sentence that says why."""

    why: str


class LostError(Exception):
    """The connection was lost in the middle; the message is one sentence."""


class Inspection:
    """A connection that is asked synchronously; a context manager."""

    def __init__(self, url: str, connection: BlockingConnection) -> None:
        """Use `opened`."""
        parts = urlsplit(url)
        self.address = shown(url)
        self.user = unquote(parts.username or "guest")
        self.virtual_host = unquote(parts.path[1:]) or "/"
        self._connection = connection

    @classmethod
    def opened(
        cls, urls: Sequence[str], *, version: str, heartbeat: timedelta
    ) -> Inspection | Unreachable:
        """Connected to the first address that can be reached, or why there is none."""
        wire.install()
        trouble = ""
        for url in urls:
            try:
                found = parameters(url, name="taskedit", version=version, heartbeat=heartbeat)
                found.blocked_connection_timeout = BLOCKED_AT_MOST
                return cls(url, BlockingConnection(found))
            except TROUBLE as error:
                trouble = f"cannot connect to {shown(url)}: {reason(error)}"
        return Unreachable(trouble)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection.is_open:
            self._connection.close()

    @property
    def server(self) -> dict[str, object]:
        """What RabbitMQ says it is: product, version, cluster_name, capabilities."""
        below = getattr(self._connection, "_impl", None)  # pika has no public way to it
        return dict(getattr(below, "server_properties", None) or {})

    def ask(self, question: Callable[[BlockingChannel], Answer]) -> Answer | Refusal:
        """The answer to what `question` does on a channel of its own, or RabbitMQ's refusal.

        Raises `LostError` when the connection is lost.
        """
        try:
            channel = self._connection.channel()
            answer = question(channel)
            if channel.is_open:
                channel.close()
        except ChannelClosedByBroker as closed:
            return Refusal(closed.reply_code, closed.reply_text)
        except AMQPError as error:
            raise LostError(f"lost the connection to {self.address}: {reason(error)}") from error
        return answer

    def declare(self, item: Object, *, passive: bool = False) -> Refusal | None:
        """Have it, or (`passive`) see that an exchange or queue exists; bindings cannot be seen."""
        found = self.ask(lambda channel: _declare(channel, item, passive=passive))
        return found if isinstance(found, Refusal) else None


def _declare(channel: BlockingChannel, item: Object, *, passive: bool) -> None:
    match item:
        case Exchange(name, kind, arguments):
            channel.exchange_declare(
                name, kind, passive=passive, durable=True, arguments=dict(arguments)
            )
        case Queue(name, arguments):
            channel.queue_declare(name, passive=passive, durable=True, arguments=dict(arguments))
        case Binding(exchange, queue, key, absent=True):
            channel.queue_unbind(queue, exchange, key)
        case Binding(exchange, queue, key):
            channel.queue_bind(queue, exchange, key)


APPLY = "taskedit topology apply"
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


def check(inspection: Inspection, items: Iterable[Object], *, compare: bool) -> list[ObjectCheck]:
    """A finding for each object, in the same order.

    `compare` declares anew what exists already, which changes nothing: RabbitMQ compares the
    arguments (before 4.3 not `x-consumer-timeout`) and refuses others. AMQP has no
    way to see bindings.
    """
    return [_finding(inspection, item, compare=compare) for item in items]


def _finding(inspection: Inspection, item: Object, *, compare: bool) -> ObjectCheck:
    if isinstance(item, Binding):
        return ObjectCheck(item, ObjectState.UNVERIFIED, "AMQP cannot show bindings")
    refusal = inspection.declare(item, passive=True)
    if refusal is None and compare:
        refusal = inspection.declare(item)
    elif refusal is None:
        return ObjectCheck(
            item, ObjectState.UNVERIFIED, "it exists; its arguments were not compared"
        )
    return (
        ObjectCheck(item, ObjectState.GOOD)
        if refusal is None
        else refused(inspection, item, refusal)
    )


def refused(inspection: Inspection, item: Object, refusal: Refusal) -> ObjectCheck:
    """What it means that RabbitMQ would not declare an object."""
    match refusal.code:
        case int(code) if code == NOT_FOUND:
            return ObjectCheck(item, ObjectState.MISSING, mend=APPLY)
        case int(code) if code == MISMATCH:
            return ObjectCheck(
                item, ObjectState.DIFFERS, refusal.text, replaced(item, inspection.virtual_host)
            )
        case int(code) if code == ACCESS_REFUSED:
            return ObjectCheck(item, ObjectState.UNVERIFIED, refusal.text)
        case _:
            return ObjectCheck(item, ObjectState.DIFFERS, refusal.text)


def replaced(item: Object, virtual_host: str) -> str:
    """The commands that remove an object whose arguments cannot be changed, and make it anew."""
    match item:
        case Queue(name):
            # quorum queues and streams know no --if-empty: RabbitMQ refuses it
            empty = f"only when rabbitmqctl list_queues -p {virtual_host} name messages says 0"
            return f"rabbitmqctl delete_queue -p {virtual_host} {name} && {APPLY}  # {empty}"
        case Exchange(name):
            return f"rabbitmqadmin -V {virtual_host} delete exchange name={name} && {APPLY}"
        case Binding():
            return APPLY


def may_write(inspection: Inspection, name: str) -> bool:
    """Whether the user may publish to an exchange of this name, or bind a queue of it."""
    refusal = _unbind(inspection, name, f"no-such-{uuid4().hex}")
    return refusal is None or f"'{name}'" not in refusal.text


def may_read(inspection: Inspection, name: str, writable: str) -> bool:
    """Whether the user may consume a queue of this name; it may write to `writable`."""
    return _unbind(inspection, writable, name) is None


def may_publish_to_queues(inspection: Inspection) -> bool:
    """Whether the user may publish to the default exchange; what is published goes nowhere."""

    def publish(channel: BlockingChannel) -> None:
        channel.confirm_delivery()
        channel.basic_publish("", f"no-such-{uuid4().hex}", b"")

    return not isinstance(inspection.ask(publish), Refusal)


def unwritable(inspection: Inspection, names: Iterable[str]) -> list[str]:
    """Those of these names that the user may not write to."""
    return [name for name in sorted(names) if not may_write(inspection, name)]


def unreadable(inspection: Inspection, names: Iterable[str], writable: str) -> list[str]:
    """Those of these names that the user may not read."""
    return [name for name in sorted(names) if not may_read(inspection, name, writable)]


def _unbind(inspection: Inspection, destination: str, source: str) -> Refusal | None:
    """The refusal for want of permission, if any; others say nothing of permissions."""

    def unbind(channel: BlockingChannel) -> None:
        channel.exchange_unbind(destination, source, f"no-such-{uuid4().hex}")

    answer = inspection.ask(unbind)
    return answer if isinstance(answer, Refusal) and answer.code == ACCESS_REFUSED else None
