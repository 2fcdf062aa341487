"""A queue consumed: one channel, every delivery unacked until it is settled.

pika's own `close` cancels the consumer first, and then RabbitMQ serves newer messages to the next
consumer before the ones we give back. What keeps order is `Channel.Close` without a cancel before
it, so `give_back` and `end` keep pika from cancelling.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import structlog
from pika.exceptions import ChannelWrongStateError

from worker.amqp.codec import received

if TYPE_CHECKING:
    from collections.abc import Callable

    from pika.channel import Channel
    from pika.spec import Basic, BasicProperties

    from worker.core.message import Delivery, Source

log = structlog.get_logger()

PREFETCH = 200
"""For all replicas, and no setting: order rests on everyone taking what was given back whole."""


class Subscription:
    """The life of one channel that consumes one queue; a `Source` of deliveries."""

    def __init__(
        self,
        channel: Channel,
        queue: str,
        *,
        deliver: Callable[[Delivery, Source], None],
        lost: Callable[[str], None],
        begun: Callable[[], None],
        soon: Callable[[Callable[[], None]], None],
        when_sent: Callable[[Callable[[], None]], None],
    ) -> None:
        """Consume on a fresh channel; `lost` is called once, when the channel is gone.

        `soon` calls back at the end of the loop's turn; `when_sent` once what was written has left.
        """
        self.alive = True
        self._first_unacked = 1
        self._acked: set[int] = set()
        self._acked_beyond: set[int] = set()
        """Acked already, one by one, though something older is not."""
        self._written: list[Callable[[], None]] = []
        self.consuming = False
        self._channel = channel
        self._queue = queue
        self._deliver = deliver
        self._lost = lost
        self._begun = begun
        self._soon = soon
        self._when_sent = when_sent
        channel.add_on_close_callback(self._closed)
        channel.add_on_cancel_callback(self._cancelled)
        channel.basic_qos(prefetch_count=PREFETCH, callback=self._consume)

    def ack(self, tag: int, written: Callable[[], None]) -> None:
        """Ack one delivery; dropped if the channel is gone, for the tag died with it."""
        if not (self._acked or self._written):
            self._soon(self._write_acks)
        self._acked.add(tag)
        self._written.append(written)

    def _write_acks(self) -> None:
        """Ack everything below the oldest unacked delivery with one frame, the rest one by one."""
        acked, self._acked = self._acked, set()
        written, self._written = self._written, []
        if self.alive and self._channel.is_open:
            last = self._first_unacked
            while last in acked or last in self._acked_beyond:
                last += 1
            below = [tag for tag in acked if tag < last]
            if below:
                self._channel.basic_ack(max(below), multiple=True)
            for tag in acked.difference(below):
                self._channel.basic_ack(tag)
            self._acked_beyond = {tag for tag in self._acked_beyond | acked if tag > last}
            self._first_unacked = last
        self._when_sent(partial(_call_all, written))

    def give_back(self) -> None:
        """Close without a cancel: everything unacked goes back in order."""
        self.alive = False
        _close(self._channel)

    def _consume(self, _: object) -> None:
        if self._channel.is_open:
            self._channel.basic_consume(self._queue, self._received, callback=self._consumed)

    def _consumed(self, _: object) -> None:
        self.consuming = True
        self._begun()

    def _received(
        self, _: Channel, method: Basic.Deliver, properties: BasicProperties, body: bytes
    ) -> None:
        if not self.alive:
            return
        try:
            self._deliver(received(method, properties, body, datetime.now(UTC)), self)
        except Exception:  # pika would take it for the end of the connection, again and again
            log.exception("delivery_failed", queue=self._queue)

    def _cancelled(self, _: object) -> None:
        """RabbitMQ has cancelled us: the queue was deleted, moved, or we were too slow to ack."""
        log.warning("consumer_cancelled", queue=self._queue)
        self.give_back()

    def _closed(self, _: object, error: Exception) -> None:
        self.alive = self.consuming = False
        self._lost(str(getattr(error, "reply_text", "") or error))


def _close(channel: Channel) -> None:
    """`Channel.Close` and no cancel, by way of a cancel that does nothing."""

    def keep_consuming(*_: object, **__: object) -> None:
        """Stand in for `basic_cancel`, which pika's `close` calls for every consumer."""

    channel.basic_cancel = keep_consuming  # type: ignore[method-assign]
    try:
        channel.close()
    except ChannelWrongStateError:
        return  # closing or closed already


def _call_all(callbacks: list[Callable[[], None]]) -> None:
    for callback in callbacks:
        callback()
