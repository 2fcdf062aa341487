"""The broker's side of a run: objects declared, filled with edits, counted, and deleted again."""

from __future__ import annotations

from contextlib import contextmanager
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import pika

from worker.amqp.topology import Binding, Exchange, Queue, journal, shared_objects

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pika.adapters.blocking_connection import BlockingChannel

    from schemas import Names
    from worker.amqp.topology import Object

PLAIN_QUORUM = {"x-queue-type": "quorum"}
_ARRIVED_WITHIN = 120.0
_LOOK_EVERY = 0.02


@contextmanager
def connected(url: str) -> Iterator[BlockingChannel]:
    """A channel on a connection of its own."""
    parameters = pika.URLParameters(url)
    parameters.heartbeat = 0  # nothing here answers while it sleeps
    connection = pika.BlockingConnection(parameters)
    try:
        yield connection.channel()
    finally:
        if connection.is_open:
            connection.close()


def surroundings(names: Names) -> tuple[Object, ...]:
    """What every contestant publishes to, ours and the peers alike: the events and the journal."""
    return (*shared_objects(names), *journal(names))


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


def fill(url: str, queue: str, messages: Iterable[tuple[bytes, pika.BasicProperties]]) -> int:
    """Publish straight to a queue, and wait until all of them are in it; how many there were."""
    with connected(url) as channel:
        before = depth(channel, queue)
        count = 0
        for body, properties in messages:
            channel.basic_publish("", queue, body, properties)
            count += 1
        until(lambda: depth(channel, queue) >= before + count, _ARRIVED_WITHIN, f"{queue} is full")
    return count


def depth(channel: BlockingChannel, queue: str) -> int:
    """How many messages of the queue nobody has been given."""
    return channel.queue_declare(queue, passive=True).method.message_count or 0


def until(condition: Any, within: float, what: str) -> None:  # noqa: ANN401 (any truth)
    """Wait until the condition is true; `TimeoutError` after `within` seconds."""
    deadline = monotonic() + within
    while not condition():
        if monotonic() > deadline:
            raise TimeoutError(f"not within {within:.0f} s: {what}")
        sleep(_LOOK_EVERY)
