"""The journal read by a command: from some point up to now, or on and on.

Up to now means up to a marker of our own, which is published to the stream and passed over by
every reader. Reading leaves a stream as it is.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, cast
from uuid import uuid4

from worker.amqp.codec import WireProperties
from worker.amqp.session import MARKER
from worker.core.message import PERSISTENT, Properties
from worker.core.rate_limit import SLOTS_TYPE

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from pika.channel import Channel
    from pika.connection import Connection
    from pika.spec import Basic, BasicProperties

    from worker.loop import Loop

    Offset = str | int | datetime
    """Where to begin: ``first``, ``next``, a number, or the broker's time."""

UNACKED_AT_MOST = 5000
ACK_EVERY = 1000
QUIET = 3.0
"""Seconds without an event that mean the end, for whom may not publish a marker."""
OFFSET = "x-stream-offset"
REFUSED = 403


class ReadingEnd(Enum):
    """How a reading ended."""

    DONE = "done"
    NO_STREAM = "no stream"
    """There is no journal, or it is no stream: RabbitMQ is too old, or it was not allowed."""
    FAILED = "failed"


class StreamReading:
    """Tells every event of the stream, in its order; everything on the loop's thread."""

    def __init__(
        self,
        loop: Loop,
        connection: Connection,
        queue: str,
        *,
        hear: Callable[[Properties, bytes], None],
        ended: Callable[[ReadingEnd, str], None],
    ) -> None:
        """`hear` gets each event's properties and body; `ended` is called once, with a sentence."""
        self.next_offset: int | None = None
        """Where to go on after a connection is lost; None if nothing was read."""
        self._loop = loop
        self._connection = connection
        self._queue = queue
        self._hear = hear
        self._ended = ended
        self._is_over = False
        self._marker = str(uuid4())
        self._heard_at = 0.0
        self._unacked = 0

    def read(self, offset: Offset) -> None:
        """Tell all from `offset` up to now, then end."""
        self._begin(offset, self._mark)

    def follow(self, offset: Offset) -> None:
        """Tell all from `offset` on, without end."""
        self._begin(offset, lambda _: None)

    def stop(self) -> None:
        """End now."""
        self._finish(ReadingEnd.DONE)

    def _begin(self, offset: Offset, begun: Callable[[object], None]) -> None:
        """Consume; RabbitMQ refuses an offset for what is no stream."""

        def opened(channel: Channel) -> None:
            channel.add_on_close_callback(self._closed)
            channel.basic_qos(prefetch_count=UNACKED_AT_MOST)
            channel.basic_consume(
                self._queue, self._received, arguments={OFFSET: offset}, callback=begun
            )

        if self._connection.is_open:
            self._connection.channel(on_open_callback=opened)

    def _mark(self, _: object) -> None:
        """Publish the marker that ends the reading."""

        def opened(channel: Channel) -> None:
            channel.add_on_close_callback(self._unmarked)
            properties = Properties(delivery_mode=PERSISTENT, message_id=self._marker, type=MARKER)
            channel.basic_publish("", self._queue, b"", WireProperties(properties))

        if self._connection.is_open:
            self._connection.channel(on_open_callback=opened)

    def _unmarked(self, _: object, error: Exception) -> None:
        """Without the permission to publish, the end is where nothing comes for a while."""
        if self._connection.is_open and getattr(error, "reply_code", None) == REFUSED:
            self._heard_at = self._loop.now()
            self._watch()

    def _watch(self) -> None:
        if self._loop.now() - self._heard_at >= QUIET:
            self._finish(ReadingEnd.DONE)
        elif not self._is_over:
            self._loop.call_later(QUIET / 4, self._watch)

    def _received(
        self, channel: Channel, method: Basic.Deliver, properties: BasicProperties, body: bytes
    ) -> None:
        if self._is_over:
            return
        core = cast("WireProperties", properties).core
        offset = core.headers.text(OFFSET)
        if offset is None:  # reading on would take the messages of an ordinary queue
            self._finish(ReadingEnd.NO_STREAM, f"{self._queue} is no stream")
            return
        self.next_offset = int(offset) + 1
        self._heard_at = self._loop.now()
        if core.type not in {MARKER, SLOTS_TYPE}:
            self._hear(core, body)
        elif core.message_id == self._marker:
            self._finish(ReadingEnd.DONE)
            return
        self._unacked += 1
        if self._unacked >= ACK_EVERY and channel.is_open:
            self._unacked = 0
            channel.basic_ack(method.delivery_tag or 0, multiple=True)

    def _closed(self, _: Channel, error: Exception) -> None:
        if not self._connection.is_open:
            return  # whoever holds the connection tells of that
        match getattr(error, "reply_code", None):
            case 404:
                self._finish(ReadingEnd.NO_STREAM, f"there is no queue {self._queue}")
            case 406:
                self._finish(ReadingEnd.NO_STREAM, f"{self._queue} is no stream")
            case _:
                why = getattr(error, "reply_text", None) or error
                self._finish(ReadingEnd.FAILED, f"RabbitMQ says: {why}")

    def _finish(self, end: ReadingEnd, why: str = "") -> None:
        if not self._is_over:
            self._is_over = True
            self._ended(end, why)
