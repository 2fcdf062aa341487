"""The journal's tail: what was settled lately, by whoever held the lanes before.

On taking a lane, a marker is published to the journal and the tail is read up to it; no call
starts before that, however long RabbitMQ blocks publishing or answers slowly. Reading anew at each
taking needs no following in between: while a lane is ours, all its events are our own.

The tail is the last hour by RabbitMQ's clock (a stream can be read from an interval before now),
and never fewer than the newest 10,000 events. So no clock of any replica decides what is known.
Where an account has a limit of more than an hour, it is that long, up to 100,000 messages.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

import structlog
from pika.exceptions import NoFreeChannels

from worker.amqp.codec import received
from worker.core.message import PERSISTENT, Properties, Publication
from worker.pipeline.settler import ConfirmResult

if TYPE_CHECKING:
    from collections.abc import Callable

    from pika.channel import Channel
    from pika.connection import Connection
    from pika.spec import Basic, BasicProperties

    from worker.amqp.loop import PikaLoop
    from worker.amqp.publisher import ConfirmedPublisher

log = structlog.get_logger()

MARKER = "task-edit.marker"
UNACKED_AT_MOST = 2000
ACK_EVERY = 500
AN_HOUR = 3660
"""Seconds, with room for the margin of a limit's window."""
EVENTS_AT_LEAST = 10_000
EVENTS_FOR_LIMITS = 100_000
"""What is read for a limit of more than an hour at most: some ten seconds."""
STALLS_AFTER = 20.0
"""Seconds without anything read; then it is tried again, unless RabbitMQ blocks publishing."""
AGAIN_IN = 1.0
GIVE_UP_AFTER = 60.0
"""Seconds of nothing but refusals; then the lanes go on without what could not be read."""


class Journal:
    """Reads the tail of the events' stream up to now, for all who ask at the same time."""

    def __init__(
        self,
        loop: PikaLoop,
        publisher: ConfirmedPublisher,
        queue: str,
        recall: Callable[[Publication], None],
        *,
        blocked: Callable[[], bool],
        longest: Callable[[], float] = lambda: 0.0,
        vanished: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`recall` is told every event read; it has its time in `properties.timestamp`.

        `blocked` tells whether RabbitMQ takes no publications at the moment, `longest` how many
        seconds the longest window of any account's limits has. `vanished` is told that the stream
        is gone.
        """
        self.missing: str | None = None
        """Why there is no journal to read; None when there is one, as far as is known."""
        self.trouble: str | None = None
        """Why a reading takes long; None when none does."""
        self.term = 0
        """The offset of the last marker read: later readings, by any replica, have higher ones."""
        self._loop = loop
        self._publisher = publisher
        self._queue = queue
        self._recall = recall
        self._blocked = blocked
        self._connection: Connection | None = None
        self._channel: Channel | None = None
        self._askers: list[Callable[[], None]] = []
        self._reading: list[Callable[[], None]] = []
        self._marker = ""
        self._next_offset = 0
        self._refused_since: float | None = None
        self._read_at = 0.0
        self._unacked = 0
        self._begins: list[int] = []
        """Where the last hour begins, and then the longest window."""
        self._longest = longest
        self._vanished = vanished
        self._seeking: str | None = None
        """The offset, in words, whose number is looked for."""

    def start(self, connection: Connection) -> None:
        """Read on this connection from now on."""
        self._connection = connection
        self.missing = None

    def connection_lost(self) -> None:
        """Whoever asked has lost its lane, and asks again."""
        self._connection = self._channel = None
        self._askers.clear()
        self._reading.clear()
        self._marker = ""
        self.trouble = self._refused_since = None

    def read(self, done: Callable[[], None]) -> None:
        """Call `done` once everything published before now has been recalled."""
        self._askers.append(done)
        if not self._reading:
            self._begin()

    def _begin(self) -> None:
        self._reading, self._askers = self._askers, []
        self._refused_since = None
        self._mark()

    def _mark(self) -> None:
        if self.missing is not None or self._connection is None:
            self._finish()
            return
        marker = self._marker = str(uuid4())
        properties = Properties(delivery_mode=PERSISTENT, message_id=marker, type=MARKER)
        publication = Publication("", self._queue, b"", properties)

        def sure(fate: ConfirmResult) -> None:
            if marker != self._marker:
                return
            if fate is ConfirmResult.REFUSED:
                self._refused(marker, "the stream refused the marker")
            elif fate is ConfirmResult.UNROUTABLE:
                self._vanished(f"there is no queue {self._queue}")
                self._refused(marker, f"there is no queue {self._queue}")
            elif fate is ConfirmResult.CONFIRMED:
                self._begins = []
                self._open(f"{AN_HOUR}s")

        self._read_at = self._loop.now()
        self._publisher.publish(publication, lambda: marker == self._marker, sure)
        self._loop.call_later(STALLS_AFTER, lambda: self._watch(marker))

    def _watch(self, marker: str) -> None:
        """Begin anew when nothing comes any more; while RabbitMQ blocks, only wait."""
        if marker != self._marker or not self._reading:
            return
        if self._blocked():
            self._read_at = self._loop.now()
            self._tell("RabbitMQ blocks publishing")
        if self._loop.now() - self._read_at >= STALLS_AFTER:
            self._again(marker, "took too long")
        else:
            self._loop.call_later(STALLS_AFTER, lambda: self._watch(marker))

    def _open(self, offset: str | int) -> None:
        if self._connection is None or not self._connection.is_open:
            return
        marker = self._marker
        self._seeking = offset if isinstance(offset, str) else None
        self._unacked = 0

        def opened(channel: Channel) -> None:
            if marker != self._marker:
                channel.close()
                return
            self._channel = channel
            channel.add_on_close_callback(lambda _, error: self._closed(marker, channel, error))
            channel.basic_qos(prefetch_count=UNACKED_AT_MOST)
            channel.basic_consume(
                self._queue, self._received, arguments={"x-stream-offset": offset}
            )

        try:
            self._connection.channel(on_open_callback=opened)
        except NoFreeChannels:
            self._again(marker, "the connection has no channel left")

    def _received(
        self, channel: Channel, method: Basic.Deliver, properties: BasicProperties, body: bytes
    ) -> None:
        if channel is not self._channel:
            return
        delivery = received(method, properties, body, datetime.now(UTC))
        had = delivery.properties
        stated = had.headers.text("x-stream-offset")
        if stated is None:
            self._leave(channel)
            self.missing = f"{self._queue} is no stream"
            self._finish()
            return
        offset = int(stated)
        self._read_at = self._loop.now()
        if self._seeking is not None:
            self._seek(channel, offset)
            return
        self._next_offset = max(self._next_offset, offset + 1)
        if had.type != MARKER:
            self._hear(Publication(delivery.exchange, delivery.routing_key, body, had))
        elif had.message_id == self._marker:
            self.term = offset
            self._next_offset = offset + 1
            self._leave(channel)
            self._finish()
            return
        self._unacked += 1
        if self._unacked >= ACK_EVERY:
            self._unacked = 0
            channel.basic_ack(delivery.tag, multiple=True)

    def _hear(self, event: Publication) -> None:
        """Recall an event; one that cannot be (anybody may publish here) is not known, that is all.

        What is raised here pika would take for the end of the connection.
        """
        try:
            self._recall(event)
        except Exception:
            log.exception("event_not_recalled", queue=self._queue)

    def _seek(self, channel: Channel, offset: int) -> None:
        """Find where the tail begins, from the first event of the last hour and the last one."""
        self._leave(channel)
        if self._seeking == "last":
            if offset + 1 < self._next_offset:  # another stream, declared anew
                self._next_offset = 0
            hour, longest = self._begins[0], self._begins[-1]
            begins = min(hour, offset - EVENTS_AT_LEAST, max(longest, offset - EVENTS_FOR_LIMITS))
            self._open(min(max(self._next_offset, begins, 0), offset))
            return
        self._begins.append(offset)
        longest_window = int(self._longest() * AN_HOUR / 3600)
        more = len(self._begins) == 1 and longest_window > AN_HOUR
        self._open(f"{longest_window}s" if more else "last")

    def _leave(self, channel: Channel) -> None:
        self._channel = None
        channel.close()

    def _closed(self, marker: str, channel: Channel, error: Exception) -> None:
        if channel is self._channel:
            self._channel = None
            self._refused(marker, str(getattr(error, "reply_text", "") or error))

    def _refused(self, marker: str, why: str) -> None:
        """RabbitMQ will not: after a restart that passes, and a missing permission does not."""
        if marker != self._marker or not self._reading:
            return
        now = self._loop.now()
        self._refused_since = now if self._refused_since is None else self._refused_since
        if now - self._refused_since < GIVE_UP_AFTER:
            self._again(marker, why)
        else:
            log.warning("journal_not_read", queue=self._queue, why=why)
            self.missing = f"{self._queue} cannot be read: {why}"
            self._finish()

    def _again(self, marker: str, why: str) -> None:
        """Try once more with a marker of its own."""
        if marker != self._marker or not self._reading:
            return
        if self._channel is not None and self._channel.is_open:
            self._leave(self._channel)
        self._tell(why)
        self._marker = waiting = str(uuid4())
        self._loop.call_later(AGAIN_IN, lambda: self._mark_again(waiting))

    def _tell(self, why: str) -> None:
        self.trouble = f"not read yet: {why}"
        log.warning("journal_not_read", queue=self._queue, why=why)

    def _mark_again(self, waiting: str) -> None:
        if waiting == self._marker and self._reading:
            self._mark()

    def _finish(self) -> None:
        done, self._reading = self._reading, []
        self._marker = ""
        self.trouble = None
        for callback in done:
            callback()
        if self._askers:
            self._begin()
