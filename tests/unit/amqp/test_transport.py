"""One write a turn, and word of when it has left the process, on our loop and real sockets."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING, cast

import pytest

from worker.amqp.transport import (
    READ_AT_MOST,
    WRITTEN_AT_MOST,
    BatchingServices,
    BatchingTransport,
    GuardedServices,
)
from worker.loop import Loop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pika.adapters.utils.nbio_interface import AbstractStreamTransport

LARGE = b"".join(number.to_bytes(4) for number in range(5_000_000))
"""More than any socket's buffers take."""


class Protocol:
    """What pika's connection is to the transport: it remembers what it was told."""

    def __init__(self) -> None:
        self.transport: BatchingTransport | None = None
        self.lost = False
        self.read: list[bytes] = []

    def connection_made(self, transport: AbstractStreamTransport) -> None:
        assert isinstance(transport, BatchingTransport)
        self.transport = transport

    def connection_lost(self, error: BaseException | None) -> None:
        del error
        self.lost = True

    def eof_received(self) -> bool:
        return False

    def data_received(self, data: bytes) -> None:
        self.read.append(data)


@pytest.fixture
def loop() -> Iterator[Loop]:
    turning = Loop()
    yield turning
    turning.aio.close()


def turn(loop: Loop, until: Callable[[], object]) -> None:
    """Run the loop until the condition holds; two seconds are a failure."""

    def look() -> None:
        if until():
            loop.stop()
        else:
            loop.call_later(0.005, look)

    late = loop.call_later(2, loop.stop)
    look()
    loop.aio.run_forever()
    loop.cancel(late)
    assert until()


def connected(loop: Loop) -> tuple[BatchingServices, Protocol, socket.socket]:
    """Services with one connection, its protocol, and the peer's end."""
    ours, peers = socket.socketpair()
    ours.setblocking(False)
    services, protocol = BatchingServices(loop), Protocol()
    done: list[object] = []
    services.create_streaming_connection(lambda: protocol, ours, done.append)  # type: ignore[arg-type, return-value]
    turn(loop, lambda: done and protocol.transport is not None)
    return services, protocol, peers


def test_what_is_written_in_a_turn_leaves_in_one_piece(loop: Loop) -> None:
    services, protocol, peers = connected(loop)
    assert protocol.transport is not None
    sent: list[bool] = []
    for piece in (b"one ", b"two ", b"three"):
        protocol.transport.write(piece)
    services.when_sent(lambda: sent.append(True))
    turn(loop, lambda: sent)
    peers.settimeout(1)
    assert peers.recv(100) == b"one two three"
    protocol.transport.abort()
    turn(loop, lambda: protocol.lost)
    peers.close()


def test_what_has_come_is_read_at_once_and_nothing_of_it_is_left(loop: Loop) -> None:
    _, protocol, peers = connected(loop)
    assert protocol.transport is not None
    peers.sendall(LARGE[:100_000])
    turn(loop, lambda: sum(map(len, protocol.read)) == 100_000)
    assert b"".join(protocol.read) == LARGE[:100_000]
    assert len(protocol.read[0]) == READ_AT_MOST
    protocol.transport.abort()
    turn(loop, lambda: protocol.lost)
    peers.close()


def test_word_of_what_was_sent_waits_until_the_kernel_has_it(loop: Loop) -> None:
    services, protocol, peers = connected(loop)
    assert protocol.transport is not None
    sent: list[bool] = []
    protocol.transport.write(LARGE)
    services.when_sent(lambda: sent.append(True))
    some_turns = iter(range(20))
    turn(loop, lambda: next(some_turns, None) is None)
    assert not sent, "most of it is here still"
    peers.setblocking(False)
    came: list[bytes] = []

    def drained() -> bool:
        with suppress(BlockingIOError):
            while piece := peers.recv(1 << 20):
                came.append(piece)
        return bool(sent) and sum(map(len, came)) >= len(LARGE)

    turn(loop, drained)
    assert b"".join(came) == LARGE, "what the kernel took at first came twice, or not at all"
    protocol.transport.abort()
    turn(loop, lambda: protocol.lost)
    peers.close()


def test_whoever_waits_for_a_connection_that_is_lost_is_told_all_the_same(loop: Loop) -> None:
    services, protocol, peers = connected(loop)
    assert protocol.transport is not None
    sent: list[bool] = []
    protocol.transport.write(LARGE)
    services.when_sent(lambda: sent.append(True))
    some_turns = iter(range(20))
    turn(loop, lambda: next(some_turns, None) is None)
    peers.close()
    turn(loop, lambda: sent)
    assert protocol.lost


@pytest.mark.parametrize("services", ["worker", "session"])
def test_a_socket_that_is_no_longer_connected_is_a_failure_told_and_none_raised(
    loop: Loop, services: str
) -> None:
    io = BatchingServices(loop) if services == "worker" else GuardedServices(loop.aio)
    told: list[object] = []
    with socket.socket() as unconnected:
        io.create_streaming_connection(Protocol, unconnected, told.append)  # type: ignore[arg-type]
        turn(loop, lambda: told)
    assert isinstance(told[0], (OSError, ValueError))


class Kept:
    """pika's own transport, of which nothing is sent: the pieces that it was given."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.pieces.append(data)

    def get_write_buffer_size(self) -> int:
        return 0


def test_pika_is_given_in_pieces_what_it_has_to_send(loop: Loop) -> None:
    kept = Kept()
    BatchingTransport(cast("AbstractStreamTransport", kept), loop, None).write(LARGE)
    turn(loop, lambda: kept.pieces)
    assert b"".join(kept.pieces) == LARGE
    assert max(map(len, kept.pieces)) == WRITTEN_AT_MOST
