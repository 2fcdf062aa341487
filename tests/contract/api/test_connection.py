"""One connection, against a peer that is slow to hear."""

from __future__ import annotations

import socket
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from requests.exceptions import RequestException

from tests.contract.api.peer import OK
from worker.api.http1 import HttpConnection

if TYPE_CHECKING:
    from collections.abc import Iterator

LONG = b"POST / HTTP/1.1\r\n\r\n" + b"x" * 1_000_000


@pytest.fixture
def ends() -> Iterator[tuple[HttpConnection, socket.socket]]:
    """A connection and its peer, with room for a few kilobytes between them."""
    near, far = socket.socketpair()
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    near.setblocking(False)
    wire = HttpConnection(near)
    yield wire, far
    wire.close()
    far.close()


def test_a_request_is_sent_whole_however_slowly_it_is_heard(
    ends: tuple[HttpConnection, socket.socket],
) -> None:
    wire, far = ends
    requests: list[bytes] = []

    def peer() -> None:
        for _ in range(2):
            heard = b""
            while len(heard) < len(LONG):
                heard += far.recv(50_000)
            requests.append(heard)
            far.sendall(OK)

    thread = Thread(target=peer, daemon=True)
    thread.start()
    assert [wire.exchange(LONG, 20).code for _ in range(2)] == [200, 200]
    thread.join(10)
    assert requests == [LONG, LONG]


def test_a_request_that_is_not_heard_ends_in_time(
    ends: tuple[HttpConnection, socket.socket],
) -> None:
    with pytest.raises(RequestException, match=r"no whole reply within 0\.2 s"):
        ends[0].exchange(LONG, 0.2)


def test_a_peer_that_leaves_while_it_is_told(ends: tuple[HttpConnection, socket.socket]) -> None:
    wire, far = ends
    far.close()
    with pytest.raises(RequestException, match="closed the connection without a reply"):
        wire.exchange(LONG, 10)
