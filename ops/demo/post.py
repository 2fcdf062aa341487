"""What a publisher and a subscriber of the demo do at RabbitMQ, with plain pika."""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pika
from pika.exceptions import AMQPError

from schemas import Event, Names, read_event

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from ops.demo.messages import Message


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter: the id, the headers that tell why, and the body."""

    id: str
    headers: dict[str, str]
    body: bytes


class Post:
    """Publishes edits and keeps the events that come of them, in the order of their arrival."""

    def __init__(self, connection: pika.BlockingConnection, names: Names) -> None:
        """Use `opened`."""
        self.events: list[Event] = []
        self._connection = connection
        self._names = names

    def listen(self) -> None:
        """Keep every event from now on: a queue of our own, bound to all events."""
        channel = self._connection.channel()
        queue = channel.queue_declare("", exclusive=True).method.queue
        channel.queue_bind(queue, self._names.events, "#")
        channel.basic_consume(
            queue, lambda *delivery: self.events.append(read_event(delivery[3])), auto_ack=True
        )

    def publish(self, messages: Iterable[Message]) -> None:
        """Publish to the exchange, each one confirmed."""
        channel = self._connection.channel()
        channel.confirm_delivery()
        for one in messages:
            properties = pika.BasicProperties(
                content_type="application/json", delivery_mode=2, message_id=one.id
            )
            channel.basic_publish(
                self._names.exchange, one.key, one.body.encode(), properties, mandatory=True
            )

    def turn(self, seconds: float) -> None:
        """Take in what arrives for so long."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._connection.process_data_events(left)

    def dead_letters(self) -> list[Letter]:
        """Take every dead letter out of its queue."""
        channel, queue = self._connection.channel(), self._names.dead
        count = channel.queue_declare(queue, passive=True).method.message_count
        found: list[Letter] = []
        if not count:
            return found
        for _, properties, body in channel.consume(queue, auto_ack=True, inactivity_timeout=5):
            if properties is None or body is None:
                break
            headers = {name: str(value) for name, value in (properties.headers or {}).items()}
            found.append(Letter(str(properties.message_id), headers, body))
            if len(found) >= count:
                break
        return found

    def left(self, accounts: Iterable[str]) -> int:
        """How many edits are still in the lanes."""
        channel = self._connection.channel()
        lanes = [self._names.lane(account) for account in accounts]
        found = [channel.queue_declare(lane, passive=True) for lane in (*lanes, self._names.strays)]
        return sum(each.method.message_count for each in found)

    def sweep(self, accounts: Iterable[str]) -> None:
        """Delete all that the worker declared: the broker may be somebody's."""
        names, channel = self._names, self._connection.channel()
        for queue in (names.journal, names.strays, names.dead, *map(names.lane, accounts)):
            channel.queue_delete(queue)
        for exchange in (names.exchange, names.events, names.strays, names.dead):
            channel.exchange_delete(exchange)


@contextmanager
def opened(url: str, names: Names, accounts: Collection[str]) -> Iterator[Post]:
    """A post that is connected; what the worker has declared is swept away at the end."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    post = Post(connection, names)
    try:
        yield post
    finally:
        with suppress(AMQPError):
            post.sweep(accounts)
            connection.close()
