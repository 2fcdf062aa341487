"""A queue consumed: one channel, every delivery unacked until it is settled."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import structlog

from worker.amqp.codec import received

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Callable, Iterable

    from pika.channel import Channel as PikaChannel
    from pika.spec import Basic, BasicProperties

    from worker.amqp.session import Channel
    from worker.core.message import Delivery
    from worker.loop import Loop

log = structlog.get_logger()

PREFETCH = 200
"""For all replicas, and no setting: order rests on everyone taking what was given back whole."""


class Subscription:
    """The life of one channel that consumes one queue: `async for delivery in subscription`.

    It is the `Source` of its deliveries. The iteration waits for the next delivery for as long as
    the channel is open; whoever iterates is cancelled when it is closed (`Consumer`).
    """

    def __init__(
        self,
        loop: Loop,
        channel: Channel,
        queue: str,
        when_sent: Callable[[Callable[[], None]], None],
        priority: int = 0,
    ) -> None:
        """`when_sent` calls back once what was written has left the process.

        `priority` of the consumer, among those that wait for the queue's deliveries; RabbitMQ
        before 4.0 ignores it where only one of them is active.
        """
        self.alive = True
        self._loop = loop
        self._channel = channel
        self._queue = queue
        self._when_sent = when_sent
        self._arguments = {"x-priority": priority}
        self._first_unacked = 1
        self._acked: set[int] = set()
        self._acked_beyond: set[int] = set()
        """Acked already, one by one, though something older is not."""
        self._written: list[Future[None]] = []
        """Done when the acks of this turn have left the process."""
        self._arrived: deque[Delivery] = deque()
        self._arrival: Future[None] | None = None
        """What the iteration waits for."""
        channel.pika.add_on_close_callback(self._closed)
        channel.pika.add_on_cancel_callback(self._cancelled)

    @property
    def has_unread(self) -> bool:
        """Whether there are deliveries that nobody has taken yet."""
        return bool(self._arrived)

    async def begin(self) -> None:
        """Consume. Raises `ChannelClosedError` when RabbitMQ will not have it."""
        await self._channel.call("basic_qos", prefetch_count=PREFETCH)
        await self._channel.call(
            "basic_consume", self._queue, self._received, arguments=self._arguments
        )

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Delivery:
        while not self._arrived or not self.alive:
            self._arrival = self._loop.future()
            await self._arrival
        return self._arrived.popleft()

    def ack(self, tag: int) -> Future[None]:
        """Ack one delivery at the end of this turn; done when that has left the process.

        Dropped if the channel is gone, for the tag died with it.
        """
        if not self._written:
            self._loop.soon(self._write_acks)
        written: Future[None] = self._loop.future()
        self._written.append(written)
        self._acked.add(tag)
        return written

    def _write_acks(self) -> None:
        """Ack everything below the oldest unacked delivery with one frame, the rest one by one."""
        acked, self._acked = self._acked, set()
        written, self._written = self._written, []
        pika = self._channel.pika
        if self.alive and pika.is_open:
            last = self._first_unacked
            while last in acked or last in self._acked_beyond:
                last += 1
            below = [tag for tag in acked if tag < last]
            if below:
                pika.basic_ack(max(below), multiple=True)
            for tag in acked.difference(below):
                pika.basic_ack(tag)
            self._acked_beyond = {tag for tag in self._acked_beyond | acked if tag > last}
            self._first_unacked = last
        self._when_sent(partial(_done, written))

    def give_back(self) -> None:
        """Close: everything unacked goes back in order."""
        self.alive = False
        self._channel.give_back()

    def _received(
        self, _: PikaChannel, method: Basic.Deliver, properties: BasicProperties, body: bytes
    ) -> None:
        if not self.alive:
            return
        self._arrived.append(received(method, properties, body, datetime.now(UTC)))
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    def _cancelled(self, _: object) -> None:
        """RabbitMQ has cancelled us: the queue was deleted, moved, or we were too slow to ack."""
        log.warning("consumer_cancelled", queue=self._queue)
        self.give_back()

    def _closed(self, _: object, __: object) -> None:
        self.alive = False
        self._arrived.clear()


def _done(futures: Iterable[Future[None]]) -> None:
    for future in futures:
        if not future.done():  # whoever waited may have been cancelled
            future.set_result(None)
