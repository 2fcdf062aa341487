from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from worker.api.idle import Idle
from worker.api.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Iterator


class Pair:
    """A wire and the other end of it."""

    def __init__(self) -> None:
        near, self.peer = socket.socketpair()
        near.setblocking(False)
        self.wire = Wire(near)

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
        pair.wire.close()
        pair.peer.close()


def test_the_one_used_last_is_taken_first(pairs: list[Pair]) -> None:
    idle = Idle()
    for pair in pairs:
        idle.keep(pair.wire)
    assert [idle.take() for _ in range(4)] == [pair.wire for pair in reversed(pairs)] + [None]


def test_one_that_is_closed_or_has_stray_bytes_is_not_taken(pairs: list[Pair]) -> None:
    idle = Idle()
    for pair in pairs:
        idle.keep(pair.wire)
    pairs[2].peer.close()
    pairs[1].peer.send(b"x")
    assert idle.take() is pairs[0].wire
    assert idle.take() is None
    assert pairs[1].is_closed()


def test_one_kept_too_long_is_not_taken_but_closed(pairs: list[Pair]) -> None:
    idle = Idle()
    idle.keep(pairs[0].wire, seconds=-1.0)
    assert idle.take() is None
    assert pairs[0].is_closed()


def test_the_oldest_is_closed_when_another_is_kept(pairs: list[Pair]) -> None:
    idle = Idle()
    idle.keep(pairs[0].wire, seconds=0.0)
    idle.keep(pairs[1].wire)
    assert pairs[0].is_closed()
    assert not pairs[1].is_closed()


def test_after_closing_nothing_is_kept(pairs: list[Pair]) -> None:
    idle = Idle()
    idle.keep(pairs[0].wire)
    idle.close()
    idle.keep(pairs[1].wire)
    assert idle.take() is None
    assert pairs[0].is_closed()
    assert pairs[1].is_closed()
