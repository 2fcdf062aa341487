"""The dead letters' queue taken as a whole, by one command at a time, and given back as it was.

A quorum queue cannot be looked into: a letter is seen by taking it. What is given back goes
behind what was given back before, so the order only stays when the whole queue is taken and
given back from its head. Measured on 3.10.8 and 4.0.5 with 100,000 letters: a prefetch of 0 means
2000, but one up to 65,535 is honoured; what a channel holds comes back in order when it is closed
without a cancel; and a second channel's stays behind the first's if it is closed once the queue
counts the first one's letters as ready again.
"""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

from worker.amqp.session import LOCKED, ChannelClosedError, FailureKind, SessionError
from worker.core.message import Properties, Publication
from worker.deadletters.letter import read

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Container

    from worker.amqp.session import Channel, DeliveryStream, Session
    from worker.core.message import Delivery
    from worker.deadletters.letter import Letter

BATCH = 50_000
"""Letters a channel takes; when a command is killed, RabbitMQ returns batches in any order."""
LOOK_EVERY = 0.02
OTHERS_LEAVE_WITHIN = 10.0
"""Seconds that a killed command's letters may take to come back."""
QUIET = 10.0
"""Seconds without a letter after which those still missing are not waited for."""
BEGINS_WITHIN = 60.0
"""Seconds for the first letter of a batch, which RabbitMQ reads whole before it sends any: 9 s were
seen for 50,000 on a busy machine."""
BACK_WITHIN = 15.0
ACK_TAKEN_IN = 0.2
"""Seconds that the last acks need to be taken by RabbitMQ before their channel may be closed."""
ANSWERS_WITHIN = 1.0
"""Seconds in which a command that holds the lock says who it is."""
TRIES = 3
"""A command that was killed keeps the lock for a moment, and does not answer."""
ANSWER_BYTES = 500


class DeliveryBatch:
    """Letters of one channel, all unacked until they are settled."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.unacked = 0
        self.acked = False

    def ack(self, tag: int) -> None:
        """Take one letter out of the queue for good."""
        if self.channel.is_open:
            self.unacked -= 1
            self.acked = True
            self.channel.ack(tag)


@dataclass(frozen=True, slots=True)
class HeldLetter:
    """A letter, held until it is acked or given back."""

    letter: Letter
    delivery: Delivery
    batch: DeliveryBatch

    def ack(self) -> None:
        """Take it out of the queue for good."""
        self.batch.ack(self.delivery.tag)


class DeadLetterQueue:
    """What lies in the queue at one moment; nobody else takes from it while it is `locked`."""

    def __init__(self, session: Session, *, batch: int = BATCH, quiet: float = QUIET) -> None:
        self.total = 0
        """Letters that there were when they began to be taken."""
        self.missing = 0
        """Letters that were there and did not come: somebody else has them."""
        self._batch_size = batch
        self._quiet = quiet
        self._session = session
        self._queue = session.names.dead
        self._counter: Channel | None = None
        self._batches: list[DeliveryBatch] = []

    async def letters(self, *, to_settle: bool = False) -> AsyncIterator[HeldLetter]:
        """Each letter read: see `take`."""
        place = 0
        async for delivery, batch in self.take(to_settle=to_settle):
            place += 1
            yield HeldLetter(read(delivery, place), delivery, batch)

    async def take(
        self, *, to_settle: bool = False
    ) -> AsyncIterator[tuple[Delivery, DeliveryBatch]]:
        """Each letter as it lies there, from the head of the queue on; all stay unacked.

        Letters may be acked only with `to_settle`, and once all have come: then no new ones take
        their room. Raises `SessionError` when there is no such queue.
        """
        self.total = total = await self._total()
        self.missing = count = 0
        while count < total:
            batch, came = await self._batch(min(self._batch_size, total - count))
            for number in range(min(self._batch_size, total - count)):
                delivery = await came.within(self._quiet if number else BEGINS_WITHIN)
                if delivery is None:
                    self.missing, total = total - count, count
                    break
                count += 1
                batch.unacked += 1
                yield delivery, batch
            if to_settle or self.missing:
                await came.cancel()  # an ack makes room for others

    async def give_back(self) -> None:
        """Return what was not acked, as it was; it is there again when this returns."""
        batches, self._batches = self._batches, []
        if any(batch.acked for batch in batches):
            await asyncio.sleep(ACK_TAKEN_IN)
        for batch in batches:
            ready = (await self._ready())[0]
            if batch.channel.is_open:  # what a closed one held is back already
                batch.channel.give_back()
                await self._until_ready(ready + batch.unacked)

    async def _total(self) -> int:
        """How many letters there are, once whoever was killed at them is gone."""
        loop = asyncio.get_running_loop()
        by = loop.time() + OTHERS_LEAVE_WITHIN
        while True:
            ready, consumers = await self._ready()
            if not consumers or loop.time() > by:
                return ready
            await asyncio.sleep(LOOK_EVERY)

    async def _batch(self, wanted: int) -> tuple[DeliveryBatch, DeliveryStream]:
        channel = await self._session.channel()
        batch = DeliveryBatch(channel)
        self._batches.append(batch)
        return batch, await channel.consume(self._queue, prefetch=wanted)

    async def _ready(self) -> tuple[int, int]:
        try:
            if self._counter is None or not self._counter.is_open:
                self._counter = await self._session.channel()
            return await self._counter.counts(self._queue)
        except ChannelClosedError as error:
            if error.code is None or error.failure.kind is not FailureKind.ABSENT:
                raise
            why = f"there is no queue {self._queue}: has a worker ever run here?"
            raise SessionError(FailureKind.ABSENT, why) from None

    async def _until_ready(self, wanted: int) -> None:
        loop = asyncio.get_running_loop()
        by = loop.time() + BACK_WITHIN
        while loop.time() < by:
            ready, _ = await self._ready()
            if ready >= wanted:
                return
            await asyncio.sleep(LOOK_EVERY)


@asynccontextmanager
async def locked(session: Session, doing: str) -> AsyncIterator[DeadLetterQueue]:
    """The dead letters' queue for one command alone; all that it took is back at the end.

    The lock is an exclusive queue, and goes with its connection. Raises `SessionError` (busy)
    with who holds it, as they say when they are asked by a message to the lock itself. `doing`:
    the command, for those who ask.
    """
    holder = await _lock(session, f"{doing} on {_this_process()}")
    queue = DeadLetterQueue(session)
    try:
        yield queue
    finally:
        try:
            await asyncio.shield(_given_back(queue))
        finally:
            holder.cancel()


async def _given_back(queue: DeadLetterQueue) -> None:
    """All of it; where the connection is gone, RabbitMQ does so by itself.

    Whoever is cancelled leaves this behind, so nobody may be there to hear of an error.
    """
    with suppress(SessionError):
        await queue.give_back()


async def discard(queue: DeadLetterQueue, keys: Container[bytes]) -> int:
    """Take out every letter whose key is one of `keys`; how many that were."""
    found = [
        (batch, delivery.tag)
        async for delivery, batch in queue.take(to_settle=True)
        if read(delivery, 1).key in keys
    ]
    for batch, tag in found:
        batch.ack(tag)
    return len(found)


async def _lock(session: Session, who: str) -> asyncio.Task[None]:
    """Hold the lock; the task answers those who find it taken."""
    holder: str | None = None
    for _ in range(TRIES):
        channel = await session.channel()
        try:
            await channel.call("queue_declare", session.names.dead_lock, exclusive=True)
        except ChannelClosedError as error:
            if error.code != LOCKED:
                raise
            holder = await _holder(session)
            if holder is not None:
                break
        else:
            questions = await channel.consume(session.names.dead_lock, auto_ack=True)
            return asyncio.create_task(_answer(channel, questions, who))
    raise SessionError(FailureKind.BUSY, f"at the letters already: {holder or 'another command'}")


async def _answer(channel: Channel, questions: DeliveryStream, who: str) -> None:
    with suppress(SessionError):
        async for question in questions:
            address = question.properties.reply_to
            if address:
                channel.write(Publication("", address, who.encode(), Properties()))


async def _holder(session: Session) -> str | None:
    """What the holder of the lock says of itself; None if it does not answer."""
    channel = await session.channel()
    mine = f"{session.names.dead_lock}.{uuid4().hex}"
    await channel.call("queue_declare", mine, exclusive=True, auto_delete=True)
    answers = await channel.consume(mine, auto_ack=True)
    channel.write(Publication("", session.names.dead_lock, b"who?", Properties(reply_to=mine)))
    answer = await answers.within(ANSWERS_WITHIN)
    channel.close()
    return None if answer is None else answer.body[:ANSWER_BYTES].decode(errors="replace")


def _this_process() -> str:
    since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"{socket.gethostname()}, process {os.getpid()}, since {since}"
