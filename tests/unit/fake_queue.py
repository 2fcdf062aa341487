"""A quorum queue with a single active consumer, as RabbitMQ hands it out and takes it back.

As measured: in order; a window unacked when its channel goes comes
back whole, in order, before what was never delivered; acks just written may be lost with it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from tests.unit.builders import NOW
from worker.core.message import Delivery

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.unit.fakes import FakeLoop
    from worker.core.message import Properties, Source


class Desk(Protocol):
    """A lane, or the strays."""

    def deliver(self, delivery: Delivery, source: Source) -> None: ...

    def open(self, taken: Iterable[float] | None = None, term: int | None = None) -> None: ...

    def lost(self) -> None: ...


@dataclass(slots=True, eq=False)
class Message:
    """A message in the queue, by its place in the order of publishing."""

    number: int
    body: bytes
    properties: Properties
    deliveries: int = 0


@dataclass(slots=True, eq=False)
class FakeChannel:
    """A `Source`: one channel that consumes, and what it owes an ack for."""

    queue: FakeQueue
    alive: bool = True
    tag: int = 0
    unacked: dict[int, Message] = field(default_factory=dict)
    acked: set[int] = field(default_factory=set)
    written: list[int] = field(default_factory=list)
    """Acks that have left the process and not reached the broker yet."""

    def ack(self, tag: int, written: Callable[[], None]) -> None:
        assert tag not in self.acked, "acked twice: RabbitMQ would close the channel (406)"
        self.acked.add(tag)
        self.queue.watch_ack(self, tag)

        def write() -> None:
            if self.alive:
                self.written.append(tag)
                self.queue.loop.call_later(self.queue.ack_takes, self.queue.take_acks)
            written()

        self.queue.loop.call_later(0, write)

    def give_back(self) -> None:
        """Close; the broker's answer comes later."""
        if self.alive:
            self.alive = False
            self.queue.loop.call_later(0.01, lambda: self.queue.closed(self))


@dataclass(slots=True, eq=False)
class FakeQueue:
    """Delivers up to `prefetch` messages to a desk, and subscribes anew `gap` after a loss."""

    loop: FakeLoop
    desk: Desk
    prefetch: int = 200
    exchange: str = "task-edit"
    gap: float = 0.05
    ack_takes: float = 0.001
    recall: Callable[[], bool] = lambda: True
    """Reads the journal, before the desk may open; false if that cannot be done yet."""
    taken: Iterable[float] | None = ()
    """When calls were made before, as the journal tells."""
    term: int = 0
    """The journal's offset up to which it was read."""
    watch_ack: Callable[[FakeChannel, int], None] = lambda channel, tag: None
    ready: deque[Message] = field(default_factory=deque)
    channel: FakeChannel | None = None
    published: list[Message] = field(default_factory=list)
    recalling: object | None = None

    def publish(self, body: bytes, properties: Properties) -> Message:
        message = Message(len(self.published) + 1, body, properties)
        self.published.append(message)
        self.ready.append(message)
        self.deliver()
        return message

    @property
    def is_empty(self) -> bool:
        return not self.ready and not (self.channel and self.channel.unacked)

    def subscribe(self) -> None:
        if self.channel is None:
            self.channel = FakeChannel(self)
            self.deliver()

    def deliver(self) -> None:
        channel = self.channel
        while channel and channel.alive and self.ready and len(channel.unacked) < self.prefetch:
            message = self.ready.popleft()
            channel.tag += 1
            channel.unacked[channel.tag] = message
            message.deliveries += 1
            self._hand_over(channel, channel.tag, message)

    def _hand_over(self, channel: FakeChannel, tag: int, message: Message) -> None:
        redelivered = message.deliveries > 1
        given = Delivery(
            tag, self.exchange, "LILIN888", redelivered, message.properties, message.body, NOW
        )
        self.desk.deliver(given, channel)
        if self.recalling is None:
            recalling = self.recalling = object()
            self.loop.call_later(0.02, lambda: self._recalled(recalling))

    def _recalled(self, recalling: object) -> None:
        if recalling is not self.recalling:
            return
        if self.recall():
            self.term += 100
            self.desk.open(self.taken, self.term)
        else:
            self.loop.call_later(0.02, lambda: self._recalled(recalling))

    def take_acks(self) -> None:
        if self.channel is not None:
            for tag in self.channel.written:
                del self.channel.unacked[tag]
            self.channel.written.clear()
            self.deliver()

    def lose(self, *, acks_too: bool) -> None:
        """The channel is gone, at once; with it the acks just written, or not."""
        if self.channel is not None and self.channel.alive:
            if not acks_too:
                for tag in self.channel.written:
                    del self.channel.unacked[tag]
            self.channel.written.clear()
            self.channel.alive = False
            self.closed(self.channel)

    def closed(self, channel: FakeChannel) -> None:
        """The channel is closed, and we are told so."""
        if channel is not self.channel:
            return
        for tag in channel.written:
            del channel.unacked[tag]
        self.ready.extendleft(reversed(channel.unacked.values()))
        self.channel = self.recalling = None
        self.desk.lost()
        self.loop.call_later(self.gap, self.subscribe)

    def abandoned(self) -> None:
        """The consumer's process has died; what it had written arrives still."""
        if self.channel is not None:
            for tag in self.channel.written:
                del self.channel.unacked[tag]
            self.ready.extendleft(reversed(self.channel.unacked.values()))
            self.channel.alive = False
        self.channel = self.recalling = None
