"""A quorum queue with a single active consumer, as RabbitMQ hands it out and takes it back.

It stands in for pika's connection and channel: the worker's own consumer and takeover run over it.
As measured: in order; a window unacked when its channel goes comes back whole, in order, before
what was never delivered; acks just written may be lost with it.
"""

from __future__ import annotations

from asyncio import sleep
from collections import deque
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from pika.spec import Basic

from tests.unit.fakes import Takers
from worker.amqp.codec import WireProperties
from worker.pipeline.takeover import QueueService

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.fakes import FakeLoop
    from worker.core.message import Properties
    from worker.pipeline.takeover import DeliveryHandler

LEASE_TERM = 0.02


@dataclass(slots=True, eq=False)
class Message:
    """A message in the queue, by its place in the order of publishing."""

    number: int
    body: bytes
    properties: Properties
    deliveries: int = 0


class FakeChannel:
    """pika's channel, as far as a consumer needs it, and what it owes an ack for."""

    def __init__(self, queue: FakeQueue, connection: FakeConnection) -> None:
        self.queue = queue
        self.connection = connection
        self.is_open = True
        self.channel_number = 1
        self.tag = 0
        self.unacked: dict[int, Message] = {}
        self.acked: set[int] = set()
        self.written: list[int] = []
        """Acks that have left the process and not reached the broker yet."""
        self.receive: Callable[..., None] | None = None
        self._closed: list[Callable[..., None]] = []
        self._cancelled: list[Callable[[object], None]] = []

    def add_on_close_callback(self, callback: Callable[..., None]) -> None:
        self._closed.append(callback)

    def add_on_cancel_callback(self, callback: Callable[[object], None]) -> None:
        self._cancelled.append(callback)

    def basic_qos(self, *, prefetch_count: int, callback: Callable[[object], None]) -> None:
        del prefetch_count
        self.queue.loop.post(lambda: callback(None))

    def basic_consume(
        self,
        _: str,
        receive: Callable[..., None],
        *,
        callback: Callable[[object], None],
        arguments: dict[str, int],
    ) -> None:
        assert arguments.keys() == {"x-priority"}
        self.receive = receive
        callback(None)
        self.queue.subscribed(self)

    def basic_ack(self, tag: int, *, multiple: bool = False) -> None:
        tags = [each for each in self.unacked if each <= tag] if multiple else [tag]
        for each in tags:
            if multiple and each in self.acked:
                continue
            assert each not in self.acked, "acked twice: RabbitMQ would close the channel (406)"
            self.acked.add(each)
            self.queue.watch_ack(self, each)
            self.written.append(each)
        self.queue.loop.call_later(self.queue.ack_takes, self.queue.take_acks)

    def close(self) -> None:
        """The broker's answer comes later."""
        if self.is_open:
            self.is_open = False
            self.queue.loop.call_later(0.01, lambda: self.queue.closed(self))

    def cancel(self) -> None:
        """RabbitMQ ends the consumer."""
        for callback in self._cancelled:
            callback(None)

    def gone(self) -> None:
        """Tell whoever wants to know."""
        self.is_open = False
        for callback in self._closed:
            callback(self, ConnectionError("gone"))


class FakeConnection:
    """pika's connection, as far as a consumer needs it."""

    is_open = True
    params = SimpleNamespace(channel_max=0)

    def __init__(self, queue: FakeQueue) -> None:
        self._queue = queue

    def channel(self, on_open_callback: Callable[[object], None]) -> FakeChannel:
        channel = FakeChannel(self._queue, self)
        self._queue.loop.call_later(self._queue.gap, lambda: on_open_callback(channel))
        return channel


class FakeJournal:
    """Read as soon as `recall` of its queue says that it can be."""

    missing = None

    def __init__(self, queue: FakeQueue) -> None:
        self.term = 0
        self._queue = queue

    async def read(self) -> None:
        await sleep(0.02)
        while not self._queue.recall():  # noqa: ASYNC110 (the broker is away)
            await sleep(0.02)
        self._queue.term += 100
        self.term = self._queue.term


@dataclass(slots=True, eq=False)
class FakeQueue:
    """Delivers up to `prefetch` messages to whoever serves `handler`; channels open after `gap`."""

    loop: FakeLoop
    handler: DeliveryHandler
    prefetch: int = 200
    exchange: str = "task-edit"
    routing_key: str = "LILIN888"
    gap: float = 0.01
    ack_takes: float = 0.001
    recall: Callable[[], bool] = lambda: True
    """Reads the journal, before the handler may open; false if that cannot be done yet."""
    taken: list[float] | None = field(default_factory=list)
    """When calls were made before, as the journal tells."""
    term: int = 0
    """The journal's offset up to which it was read."""
    watch_ack: Callable[[FakeChannel, int], None] = lambda channel, tag: None
    ready: deque[Message] = field(default_factory=deque)
    channel: FakeChannel | None = None
    published: list[Message] = field(default_factory=list)
    service: QueueService | None = None
    """What serves the handler."""

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
        """Have the handler served, by what serves it in earnest."""
        service = QueueService(
            self.loop,
            cast("Any", FakeJournal(self)),
            self.handler,
            "lane",
            (),
            passive=False,
            when_sent=self.loop.soon,
            lease_term=LEASE_TERM,
            takings=Takers(),
            taken=lambda: self.taken,
        )
        self.service = service
        self.loop.spawn(service.consumer.run(cast("Any", FakeConnection(self))))
        self.loop.run(self.gap + 0.001)

    def subscribed(self, channel: FakeChannel) -> None:
        self.channel = channel
        self.deliver()

    def deliver(self) -> None:
        channel = self.channel
        while channel and channel.is_open and self.ready and len(channel.unacked) < self.prefetch:
            message = self.ready.popleft()
            channel.tag += 1
            channel.unacked[channel.tag] = message
            message.deliveries += 1
            method = Basic.Deliver(
                "consumer", channel.tag, message.deliveries > 1, self.exchange, self.routing_key
            )
            assert channel.receive is not None
            channel.receive(channel, method, WireProperties(message.properties), message.body)

    def take_acks(self) -> None:
        if self.channel is not None:
            for tag in self.channel.written:
                del self.channel.unacked[tag]
            self.channel.written.clear()
            self.deliver()

    def lose(self, *, acks_too: bool) -> None:
        """The channel is gone, at once; with it the acks just written, or not."""
        if self.channel is not None and self.channel.is_open:
            if acks_too:
                self.channel.written.clear()
            self.closed(self.channel)

    def closed(self, channel: FakeChannel) -> None:
        """The channel is closed, and its consumer is told so."""
        if channel is self.channel:
            self._take_back(channel)
            channel.gone()

    def abandoned(self) -> None:
        """The consumer's process has died; what it had written arrives still."""
        if self.channel is not None:
            self.channel.is_open = False
            self._take_back(self.channel)

    def _take_back(self, channel: FakeChannel) -> None:
        for tag in channel.written:
            del channel.unacked[tag]
        channel.written.clear()
        self.ready.extendleft(reversed(channel.unacked.values()))
        self.channel = None
