"""The journal's tail: what was settled lately, by whoever held the lanes before.

On taking a lane, a marker is published to the journal and the tail is read up to it; no call
starts before that, however long RabbitMQ blocks publishing or answers slowly. Reading anew at each
taking needs no following in between: while a lane is ours, all its events are our own.

The tail is the last hour by RabbitMQ's clock (a stream can be read from an interval before now),
and never fewer than the newest 10,000 events. So no clock of any replica decides what is known.
Where an account has a limit of more than an hour, it is that long, up to 100,000 messages.

Where one has a long limit, RabbitMQ is asked as well which message was the first of the last 30,
60, 120 … seconds: so the age of each is known within a factor of two, and a message whose own time
is not within that was dated by a clock that is wrong.
"""

from __future__ import annotations

from asyncio import gather, shield, sleep, wait
from math import inf
from time import time
from typing import TYPE_CHECKING
from uuid import uuid4

import structlog

from worker.amqp.session import (
    MARKER,
    OFFSET,
    ChannelClosedError,
    NoChannelLeftError,
    channel_of,
)
from worker.core.message import PERSISTENT, ConfirmResult, Properties, Publication

if TYPE_CHECKING:
    from asyncio import Task
    from collections.abc import Callable

    from pika.connection import Connection

    from worker.amqp.publisher import ConfirmedPublisher
    from worker.core.message import Delivery
    from worker.loop import Loop

log = structlog.get_logger()

UNACKED_AT_MOST = 2000
ACK_EVERY = 500
AN_HOUR = 3660
"""Seconds, with room for the margin of a limit's window."""
EVENTS_AT_LEAST = 10_000
EVENTS_FOR_LIMITS = 100_000
"""What is read for a limit of more than an hour at most: some ten seconds."""
STALLS_AFTER = 20.0
"""Seconds without anything read; then it is tried again, unless RabbitMQ blocks publishing."""
NEWEST = 30.0
"""Seconds: of messages no older than that nobody asks how old they are."""
INEXACT = 2.0
"""Seconds by which RabbitMQ's clock and a right one may differ."""
AGAIN_IN = 1.0
GIVE_UP_AFTER = 60.0
"""Seconds of nothing but refusals; then the lanes go on without what could not be read."""


class _RefusedError(Exception):
    """The stream does not take the marker."""


class _NoStreamError(Exception):
    """The queue is no stream."""


class Journal:
    """Reads the tail of the events' stream up to now, for all who ask at the same time."""

    def __init__(
        self,
        loop: Loop,
        publisher: ConfirmedPublisher,
        queue: str,
        recall: Callable[[Publication, float | None], None],
        *,
        blocked: Callable[[], bool],
        longest: Callable[[], float] = lambda: 0.0,
        vanished: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`recall` is told every event read, and how many seconds old it is, if that is known.

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
        self._longest = longest
        self._vanished = vanished
        self._connection: Connection | None = None
        self._reading: Task[None] | None = None
        self._next: Task[None] | None = None
        """The reading that begins when the present one has ended, for who asked meanwhile."""
        self._last_read: tuple[int, str | None] = (-1, None)
        """Offset and id of the last message read: they tell the stream from one declared anew."""
        self._ages: list[tuple[float, int]] = []
        """Seconds, and the first offset that is no older, from the newest on."""
        self._read_at = 0.0
        """When something was read last, in monotonic seconds."""

    def start(self, connection: Connection) -> None:
        """Read on this connection from now on."""
        self._connection = connection
        self.missing = None

    def connection_lost(self) -> None:
        """Whoever asked has lost its lane, and asks again."""
        self._connection = None
        for reading in (self._reading, self._next):
            if reading is not None:
                reading.cancel()
        self._reading = self._next = None

    async def read(self) -> None:
        """Return once everything published before now has been recalled, as far as it can be."""
        if self._reading is None:
            self._reading = self._loop.task(self._read())
            await shield(self._reading)
            return
        if self._next is None:
            self._next = self._loop.task(self._read_after(self._reading))
        await shield(self._next)

    async def _read_after(self, before: Task[None]) -> None:
        await gather(before, return_exceptions=True)
        self._reading, self._next = self._next, None
        await self._read()

    async def _read(self) -> None:
        """Read the tail; what fails is tried again with a marker of its own."""
        refused_since: float | None = None
        try:
            while self.missing is None and self._connection is not None:
                try:
                    await self._read_watched(self._connection)
                except _NoStreamError:
                    self.missing = f"{self._queue} is no stream"
                    return
                except NoChannelLeftError:
                    why = "the connection has no channel left"
                except TimeoutError:
                    why = "took too long"
                except (ChannelClosedError, _RefusedError) as error:
                    # After a restart of RabbitMQ that passes, and a missing permission does not.
                    why = error.text if isinstance(error, ChannelClosedError) else str(error)
                    refused_since = refused_since or self._loop.now()
                    if self._loop.now() - refused_since >= GIVE_UP_AFTER:
                        self._tell(why)
                        self.missing = f"{self._queue} cannot be read: {why}"
                        return
                else:
                    return
                self._tell(why)
                await sleep(AGAIN_IN)
        finally:
            self.trouble = None
            if self._next is None:
                self._reading = None

    def _tell(self, why: str) -> None:
        self.trouble = f"not read yet: {why}"
        log.warning("journal_not_read", queue=self._queue, why=why)

    async def _read_watched(self, connection: Connection) -> None:
        """Read the tail once; while RabbitMQ blocks, only wait.

        Raises `TimeoutError` when nothing comes any more, and what `_read_tail` raises.
        """
        self._read_at = self._loop.now()
        reading = self._loop.aio.create_task(self._read_tail(connection))
        try:
            while not reading.done():
                await wait((reading,), timeout=STALLS_AFTER)
                if self._blocked() and not reading.done():
                    self._read_at = self._loop.now()
                    self._tell("RabbitMQ blocks publishing")
                if self._loop.now() - self._read_at >= STALLS_AFTER and not reading.done():
                    raise TimeoutError
            await reading
        finally:
            reading.cancel()

    async def _read_tail(self, connection: Connection) -> None:
        """Publish a marker, and recall everything before it that is not known yet."""
        marker = str(uuid4())
        properties = Properties(delivery_mode=PERSISTENT, message_id=marker, type=MARKER)
        said = await self._publisher.publish(Publication("", self._queue, b"", properties))
        if said is ConfirmResult.UNROUTABLE:
            self._vanished(f"there is no queue {self._queue}")
            raise _RefusedError(f"there is no queue {self._queue}")
        if said is not ConfirmResult.CONFIRMED:
            raise _RefusedError("the stream refused the marker")
        hour, _ = await self._first(connection, f"{AN_HOUR}s")
        longest = hour
        window = int(self._longest() * AN_HOUR / 3600)
        if window > AN_HOUR:
            longest, _ = await self._first(connection, f"{window}s")
        last, _ = await self._first(connection, "last")
        self._ages = await self._asked_ages(connection)
        begin = min(hour, last - EVENTS_AT_LEAST, max(longest, last - EVENTS_FOR_LIMITS))
        known, _ = self._last_read
        if 0 <= known < last and await self._first(connection, known) == self._last_read:
            begin = max(begin, known + 1)  # else it is another stream, declared anew
        await self._recall_from(connection, min(max(begin, 0), last), marker)

    async def _asked_ages(self, connection: Connection) -> list[tuple[float, int]]:
        found: list[tuple[float, int]] = []
        while self._longest() > (seconds := NEWEST * 2 ** len(found)) / 2:
            first, _ = await self._first(connection, f"{int(seconds)}s")
            found.append((seconds, first))
        return found

    def _age(self, offset: int, stamped: int | None) -> float | None:
        """Seconds since a message was published: by its own time, where that can be true."""
        own = None if not stamped else max(0.0, time() - stamped)
        most = next((age for age, first in self._ages if first <= offset), inf)
        least = max((age for age, first in self._ages if first > offset), default=0.0)
        if not self._ages or (own is not None and least - INEXACT <= own <= most + INEXACT):
            return own
        return least

    async def _first(self, connection: Connection, begin: str | int) -> tuple[int, str | None]:
        """Offset and id of the first message that RabbitMQ has from there on."""
        channel = await channel_of(connection)
        try:
            events = await channel.consume(self._queue, prefetch=1, arguments={OFFSET: begin})
            first = await anext(events)
        finally:
            channel.close()
        self._read_at = self._loop.now()
        return _offset(first), first.properties.message_id

    async def _recall_from(self, connection: Connection, begin: int, marker: str) -> None:
        """Recall every event from an offset up to the marker."""
        channel = await channel_of(connection)
        try:
            events = await channel.consume(
                self._queue, prefetch=UNACKED_AT_MOST, arguments={OFFSET: begin}
            )
            unacked = 0
            async for event in events:
                offset, had = _offset(event), event.properties
                self._read_at = self._loop.now()
                self._last_read = offset, had.message_id
                if had.type != MARKER:
                    told = Publication(event.exchange, event.routing_key, event.body, had)
                    self._hear(told, self._age(offset, had.timestamp))
                elif had.message_id == marker:
                    self.term = offset
                    return
                unacked += 1
                if unacked >= ACK_EVERY:
                    unacked = 0
                    channel.ack(event.tag, multiple=True)
        finally:
            channel.close()

    def _hear(self, event: Publication, age: float | None) -> None:
        """Recall an event; one that cannot be, for anybody may publish here, is not known."""
        try:
            self._recall(event, age)
        except Exception:
            log.exception("event_not_recalled", queue=self._queue)


def _offset(event: Delivery) -> int:
    stated = event.properties.headers.text(OFFSET)
    if stated is None:
        raise _NoStreamError
    return int(stated)
