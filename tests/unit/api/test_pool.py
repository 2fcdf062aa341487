from __future__ import annotations

import socket
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from worker.api.adapter import ConnectionPool, Sweeper
from worker.api.http1 import HttpConnection

if TYPE_CHECKING:
    from collections.abc import Iterator


class Pair:
    """A connection and the other end of it."""

    def __init__(self) -> None:
        near, self.peer = socket.socketpair()
        near.setblocking(False)
        self.connection = HttpConnection(near)

    def is_closed(self) -> bool:
        """Whether our end is shut."""
        self.peer.setblocking(False)
        try:
            return self.peer.recv(1) == b""
        except BlockingIOError:
            return False
        except ConnectionResetError:  # shut with something unread
            return True


@pytest.fixture
def pairs() -> Iterator[list[Pair]]:
    made = [Pair() for _ in range(3)]
    yield made
    for pair in made:
        pair.connection.close()
        pair.peer.close()


def test_the_one_used_last_is_taken_first(pairs: list[Pair]) -> None:
    pool = ConnectionPool()
    for pair in pairs:
        pool.keep(pair.connection)
    assert [pool.take() for _ in range(4)] == [pair.connection for pair in reversed(pairs)] + [None]


def test_one_that_is_closed_or_has_stray_bytes_is_not_taken(pairs: list[Pair]) -> None:
    pool = ConnectionPool()
    for pair in pairs:
        pool.keep(pair.connection)
    pairs[2].peer.close()
    pairs[1].peer.send(b"x")
    assert pool.take() is pairs[0].connection
    assert pool.take() is None
    assert pairs[1].is_closed()


def test_one_kept_too_long_is_not_taken_but_closed(pairs: list[Pair]) -> None:
    pool = ConnectionPool()
    pool.keep(pairs[0].connection, seconds=-1.0)
    assert pool.take() is None
    assert pairs[0].is_closed()


def test_one_whose_time_is_over_is_closed_also_when_nobody_calls_any_more(
    pairs: list[Pair],
) -> None:
    pool = ConnectionPool()
    for seconds, pair in zip((0.0, 0.1, 3600.0), pairs, strict=True):
        pool.keep(pair.connection, seconds)
    for pair in pairs[:2]:
        pair.peer.settimeout(10)
        assert pair.peer.recv(1) == b""
    assert not pairs[2].is_closed()
    assert pool.take() is pairs[2].connection


def test_a_pool_that_was_swept_empty_is_swept_again(pairs: list[Pair]) -> None:
    pool = ConnectionPool()
    for pair in pairs:
        pool.keep(pair.connection, 0.0)
        pair.peer.settimeout(10)
        assert pair.peer.recv(1) == b""
        until = monotonic() + 10
        while pool.is_swept:
            assert monotonic() < until


def test_after_closing_nothing_is_kept(pairs: list[Pair]) -> None:
    pool = ConnectionPool()
    pool.keep(pairs[0].connection)
    pool.close()
    pool.keep(pairs[1].connection)
    assert pool.take() is None
    assert pairs[0].is_closed()
    assert pairs[1].is_closed()


def test_a_pool_is_kept_where_no_thread_can_be_had_to_sweep_it_and_swept_once_one_can() -> None:
    refusals, started = ["can't start new thread"], list[Thread]()

    def start(thread: Thread) -> None:
        if refusals:
            raise RuntimeError(refusals.pop())
        started.append(thread)

    sweeper, pool = Sweeper(start), ConnectionPool()
    swept = []
    for _ in range(3):
        sweeper.look_after(pool)
        swept.append(pool.is_swept)

    assert swept == [False, True, True]
    assert len(started) == 1
