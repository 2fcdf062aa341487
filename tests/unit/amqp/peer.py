"""pika's connection without a network: what RabbitMQ would send, and what was written."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from pika import ConnectionParameters, frame, spec

from worker.amqp import codec
from worker.amqp.codec import WireProperties
from worker.amqp.transport import GuardedServices

if TYPE_CHECKING:
    import asyncio

    from pika.adapters.asyncio_connection import AsyncioConnection
    from pika.channel import Channel

    from worker.core.message import Properties

FRAME_MAX = 4096
IN_A_FRAME = FRAME_MAX - 8
"""Bytes of a body."""
LOSES = b"lost"
"""The body of a message that whoever hears it loses the connection by."""
RAISES = b"raise"
"""The same of one that whoever hears it raises what pika's transport takes for "nothing there"."""


@dataclass
class Wire:
    """A transport that nobody is behind: what was written."""

    written: bytearray = field(default_factory=bytearray)
    largest: int = 0
    """Bytes of the largest piece."""

    def write(self, data: bytes) -> None:
        self.written += data
        self.largest = max(self.largest, len(data))

    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None:
        pass


class Peer:
    """A connection with one channel and one consumer, opened by frames as RabbitMQ sends them."""

    def __init__(self, kind: type[AsyncioConnection], loop: asyncio.AbstractEventLoop) -> None:
        self.wire, self.heard, self.is_lost = Wire(), list[object](), False
        self.connection = cast(
            "Any",
            kind(
                ConnectionParameters(frame_max=FRAME_MAX, heartbeat=0),
                custom_ioloop=GuardedServices(loop),
                internal_connection_workflow=False,
            ),
        )
        self.connection._proto_connection_made(self.wire)  # noqa: SLF001
        can = {"capabilities": {"basic.nack": True, "publisher_confirms": True}}
        self.read(method(0, spec.Connection.Start(0, 9, can, "PLAIN", "en_US")))
        self.read(method(0, spec.Connection.Tune(10, FRAME_MAX, 0)))
        self.read(method(0, spec.Connection.OpenOk()))
        self.channel: Channel = self.connection.channel(on_open_callback=lambda _: None)
        self.read(method(1, spec.Channel.OpenOk()))
        self.channel.confirm_delivery(
            lambda confirm: self.heard.append(repr(confirm)), callback=lambda _: None
        )
        self.read(method(1, spec.Confirm.SelectOk()))
        self.channel.add_on_return_callback(self._hear)
        self.channel.basic_consume("queue", self._hear, consumer_tag="consumer")
        self.read(method(1, spec.Basic.ConsumeOk("consumer")))
        assert self.channel.is_open

    def read(self, data: bytes) -> None:
        if self.is_lost:
            return
        with suppress(BlockingIOError):
            self.connection._proto_data_received(data)  # noqa: SLF001

    def _hear(self, _: Channel, told: object, properties: WireProperties, body: bytes) -> None:
        self.heard.append((repr(told), properties.core, body))
        if body == RAISES:
            raise BlockingIOError
        if body == LOSES:
            self.is_lost = True
            self.connection._proto_connection_lost(OSError("lost"))  # noqa: SLF001


def method(channel: int, what: Any) -> bytes:  # noqa: ANN401 (pika's own methods)
    return frame.Method(channel, what).marshal()


def content(begun: tuple[int, Any], properties: Properties, body: bytes) -> bytes:
    channel, what = begun
    parts = [body[at : at + IN_A_FRAME] for at in range(0, len(body), IN_A_FRAME)]
    return b"".join((
        method(channel, what),
        frame.Header(channel, len(body), WireProperties(properties)).marshal(),
        *(frame.Body(channel, part).marshal() for part in parts),
    ))  # fmt: skip


def deliver(channel: int, consumer: str, tag: int, again: bool, name: str) -> tuple[int, Any]:
    exchange = codec.name_out(name)
    return channel, spec.Basic.Deliver(consumer, tag, again, exchange, exchange)
