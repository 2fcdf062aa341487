"""The broker's side of a run: objects declared, filled with edits, counted, and deleted again."""

from __future__ import annotations

from contextlib import contextmanager
from time import monotonic, sleep
from typing import TYPE_CHECKING, Protocol

import pika

from worker.amqp.topology import Binding, Exchange, Queue, journal_objects, shared_objects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pika.adapters.blocking_connection import BlockingChannel

    from schemas import Names
    from worker.amqp.topology import Object

Message = tuple[bytes, pika.BasicProperties]
PLAIN_QUORUM = {"x-queue-type": "quorum"}


class Messages(Protocol):
    """Messages that know how many they are."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Message]: ...


_ARRIVED_WITHIN = 180.0
_LOOK_EVERY = 0.02


def parameters(url: str) -> pika.URLParameters:
    """How to connect, without heartbeats: nothing here would answer them while it sleeps."""
    found = pika.URLParameters(url)
    found.heartbeat = 0
    return found


@contextmanager
def connected(url: str) -> Iterator[BlockingChannel]:
    """A channel on a connection of its own."""
    connection = pika.BlockingConnection(parameters(url))
    try:
        yield connection.channel()
    finally:
        if connection.is_open:
            connection.close()


def surroundings(names: Names) -> tuple[Object, ...]:
    """What every contestant publishes to, ours and the peers alike: the events and the journal."""
    return (*shared_objects(names), *journal_objects(names))


@contextmanager
def declared(url: str, objects: Sequence[Object], others: Iterable[str] = ()) -> Iterator[None]:
    """The objects for the length of the block; `others` are queues that a contestant declares."""
    with connected(url) as channel:
        for item in objects:
            _declare(channel, item)
    try:
        yield
    finally:
        with connected(url) as channel:
            for name in [*(each.name for each in objects if isinstance(each, Queue)), *others]:
                channel.queue_delete(name)
            for each in objects:
                if isinstance(each, Exchange):
                    channel.exchange_delete(each.name)


def _declare(channel: BlockingChannel, item: Object) -> None:
    match item:
        case Exchange(name, kind, arguments):
            channel.exchange_declare(name, kind, durable=True, arguments=dict(arguments))
        case Queue(name, arguments):
            channel.queue_declare(name, durable=True, arguments=dict(arguments))
        case Binding(exchange, queue, key, absent=False):
            channel.queue_bind(queue, exchange, key)
        case Binding():
            pass


@contextmanager
def poured(url: str, queue: str, messages: Iterable[Message]) -> Iterator[BlockingChannel]:
    """Publish straight to a queue; within the block they are on their way.

    Unconfirmed, which is ten times as fast: only a channel that stays open gets all of them there.
    """
    with connected(url) as channel:
        for body, properties in messages:
            channel.basic_publish("", queue, body, properties)
        yield channel


def fill(url: str, queue: str, messages: Messages) -> None:
    """Publish straight to a queue that nobody consumes, and wait until all of them are in it."""
    with poured(url, queue, messages) as channel:
        until(
            lambda: depth(channel, queue) >= len(messages),
            _ARRIVED_WITHIN,
            f"{len(messages)} messages in {queue}",
        )


def depth(channel: BlockingChannel, queue: str) -> int:
    """How many messages of the queue nobody has been given."""
    return channel.queue_declare(queue, passive=True).method.message_count or 0


def until(
    condition: Callable[[], object], within: float, what: str, every: float = _LOOK_EVERY
) -> None:
    """Wait until the condition is true; `TimeoutError` after `within` seconds."""
    deadline = monotonic() + within
    while not condition():
        if monotonic() > deadline:
            raise TimeoutError(f"not within {within:.0f} s: {what}")
        sleep(every)
