"""What is read and written in one step is what pika reads and writes frame by frame."""

from __future__ import annotations

import asyncio
from itertools import cycle
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pika import frame, spec
from pika.adapters.asyncio_connection import AsyncioConnection
from pika.exceptions import AMQPError

from tests.unit.amqp.peer import (
    FRAME_MAX,
    IN_A_FRAME,
    LOSES,
    RAISES,
    Peer,
    content,
    deliver,
    method,
)
from worker.amqp import codec
from worker.amqp.codec import WireProperties
from worker.amqp.frames import QuickConnection, publish
from worker.core.headers import Headers
from worker.core.message import Properties, Publication

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


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
    st.builds(content, DELIVERIES | RETURNS, PROPERTIES, BODIES | st.sampled_from((LOSES, RAISES))),
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


ONE, LAST, BAD, LARGE = (
    content(deliver(1, "consumer", 1, False, "x"), Properties(message_id="m"), body)
    for body in (b"body", LOSES, RAISES, b"b" * 9000)
)
CONFIRM = method(1, spec.Basic.Ack(7, multiple=True))
LONG = b"\x01\x00\x01\x00\x00\x00\x0e" + CONFIRM[7:] + b"\xce"
"""A confirm of one byte more than pika reads."""


@given(
    read=st.lists(READ, max_size=8),
    sizes=st.lists(st.sampled_from((3, 500, 4096, 100_000)), min_size=1, max_size=2),
    cancelled_before=st.none() | st.integers(0, 3),
)
@example(read=[ONE, LAST, ONE], sizes=[10_000], cancelled_before=None)
@example(read=[ONE, BAD, ONE, ONE], sizes=[10_000, 1], cancelled_before=3)
@example(read=[ONE, ONE], sizes=[10_000], cancelled_before=1)
@example(read=[LARGE, ONE], sizes=[30_000], cancelled_before=None)
@example(read=[LONG, CONFIRM, ONE], sizes=[30_000], cancelled_before=None)
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
    assert ours.connection.bytes_received == theirs.connection.bytes_received


@pytest.mark.parametrize("frames", [ONE, CONFIRM])
def test_a_frame_that_ends_wrong_is_refused_as_by_pika(
    frames: bytes, loop: asyncio.AbstractEventLoop
) -> None:
    whole = bytearray(frames)
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
    assert ours.wire.largest <= 2 * FRAME_MAX


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
