"""RabbitMQ asked one thing after the other, for commands that look and declare."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeVar
from urllib.parse import unquote, urlsplit

from pika import BlockingConnection
from pika.exceptions import AMQPError, ChannelClosedByBroker

from worker.amqp import wire
from worker.amqp.address import parameters, shown
from worker.amqp.link import TROUBLE, reason
from worker.amqp.topology import Binding, Exchange, Queue

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
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
