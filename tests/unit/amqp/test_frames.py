"""What is read and written in one step is what pika reads and writes frame by frame."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from itertools import cycle
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pika import ConnectionParameters, frame, spec
from pika.adapters.asyncio_connection import AsyncioConnection
from pika.exceptions import AMQPError

from worker.amqp import codec
from worker.amqp.codec import WireProperties
from worker.amqp.frames import QuickConnection, publish
from worker.amqp.transport import GuardedServices
from worker.core.headers import Headers
from worker.core.message import Properties, Publication

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pika.channel import Channel

FRAME_MAX = 4096
IN_A_FRAME = FRAME_MAX - 8
"""Bytes of a body."""
LOSES = b"lost"
"""The body of a message that whoever hears it loses the connection by."""
NAMES = st.sampled_from(("", "task-edit", "äö", "\udcff\udcfe", "n" * 255))
PROPERTIES = st.builds(
    Properties,
    message_id=st.none() | NAMES,
    timestamp=st.none() | st.integers(0, 2**63),
    headers=st.sampled_from((Headers(), Headers.of({"a": "b" * 90}))),
)
BODIES = st.sampled_from((0, 1, 500, IN_A_FRAME, IN_A_FRAME + 1, 9000)).map(
    lambda size: b"b" * size
)


@dataclass
class Wire:
    """A transport that nobody is behind: what was written."""

    written: bytearray = field(default_factory=bytearray)

    def write(self, data: bytes) -> None:
        self.written += data

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
        self.connection._proto_data_received(data)  # noqa: SLF001

    def _hear(self, _: Channel, told: object, properties: WireProperties, body: bytes) -> None:
        self.heard.append((repr(told), properties.core, body))
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


DELIVERIES = st.builds(
    deliver,
    st.sampled_from((1, 1, 1, 2)),
    st.sampled_from(("consumer", "consumer", "another")),
    st.integers(1, 2**40),
    st.booleans(),
    NAMES,
)
RETURNS = st.builds(
    lambda name: (1, spec.Basic.Return(312, "NO_ROUTE", codec.name_out(name), "key")), NAMES
)
READ = st.one_of(
    st.builds(content, DELIVERIES | RETURNS, PROPERTIES, BODIES | st.just(LOSES)),
    st.builds(spec.Basic.Ack, st.integers(0, 2**60), st.booleans()).map(lambda ack: method(1, ack)),
    st.sampled_from((
        frame.Heartbeat().marshal(),
        method(1, spec.Basic.Cancel("consumer")),
        method(1, spec.Channel.Close(404, "NOT_FOUND", 0, 0)),
    )),
)  # fmt: skip


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    codec.install()
    turning = asyncio.new_event_loop()
    yield turning
    turning.close()


def chunks(data: bytes, sizes: Sequence[int]) -> Iterator[bytes]:
    at = 0
    for size in cycle(sizes):
        if at >= len(data):
            return
        yield data[at : at + size]
        at += size


ONE, LAST, LARGE = (
    content(deliver(1, "consumer", 1, False, "x"), Properties(message_id="m"), body)
    for body in (b"body", LOSES, b"b" * 9000)
)


@given(
    read=st.lists(READ, max_size=8),
    sizes=st.lists(st.sampled_from((3, 500, 4096, 100_000)), min_size=1, max_size=2),
    cancelled_before=st.none() | st.integers(0, 3),
)
@example(read=[ONE, LAST, ONE], sizes=[10_000], cancelled_before=None)
@example(read=[ONE, ONE], sizes=[10_000], cancelled_before=1)
@example(read=[LARGE, ONE], sizes=[30_000], cancelled_before=None)
@settings(max_examples=150, deadline=None)
def test_whatever_is_read_in_whatever_pieces_is_heard_as_from_pika(
    read: list[bytes],
    sizes: list[int],
    cancelled_before: int | None,
    loop: asyncio.AbstractEventLoop,
) -> None:
    peers = Peer(QuickConnection, loop), Peer(AsyncioConnection, loop)
    for peer in peers:
        before = read if cancelled_before is None else read[:cancelled_before]
        for piece in chunks(b"".join(before), sizes):
            peer.read(piece)
        if peer.channel.is_open and cancelled_before is not None:
            peer.channel.basic_cancel("consumer", callback=lambda _: None)
        for piece in chunks(b"".join(read[len(before) :]), sizes):
            peer.read(piece)

    ours, theirs = peers
    assert ours.heard == theirs.heard
    assert ours.wire.written == theirs.wire.written
    assert ours.connection._frame_buffer == theirs.connection._frame_buffer  # noqa: SLF001
    assert ours.is_lost or ours.connection.bytes_received == theirs.connection.bytes_received


def test_a_frame_that_ends_wrong_is_refused_as_by_pika(loop: asyncio.AbstractEventLoop) -> None:
    whole = bytearray(content(deliver(1, "consumer", 1, False, "x"), Properties(), b"body"))
    whole[-1] = 0
    for kind in (QuickConnection, AsyncioConnection):
        with pytest.raises(AMQPError, match="FRAME_END"):
            Peer(kind, loop).read(bytes(whole))


@given(exchange=NAMES, key=NAMES, body=BODIES, properties=PROPERTIES, mandatory=st.booleans())
@settings(max_examples=60, deadline=None)
def test_what_is_published_is_what_pika_would_write(
    exchange: str,
    key: str,
    body: bytes,
    properties: Properties,
    mandatory: bool,
    loop: asyncio.AbstractEventLoop,
) -> None:
    ours, theirs = Peer(QuickConnection, loop), Peer(AsyncioConnection, loop)

    publish(ours.channel, Publication(exchange, key, body, properties), mandatory=mandatory)

    theirs.channel.basic_publish(
        codec.name_out(exchange),
        codec.name_out(key),
        body,
        WireProperties(properties),
        mandatory=mandatory,
    )
    assert ours.wire.written == theirs.wire.written


@pytest.mark.parametrize("is_open", [True, False])
def test_what_cannot_be_written_raises_and_nothing_is_written(
    is_open: bool,
    loop: asyncio.AbstractEventLoop,
) -> None:
    peer = Peer(QuickConnection, loop)
    if not is_open:
        peer.channel.close()
    before = bytes(peer.wire.written)

    with pytest.raises(AMQPError):
        publish(peer.channel, Publication("x", "k" * 256 if is_open else "k", b"", Properties()))

    assert peer.wire.written == before
