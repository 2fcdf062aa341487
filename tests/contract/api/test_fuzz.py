"""Whatever a peer sends, in whatever pieces: a reply or a refusal, in time."""

from __future__ import annotations

import socket
from contextlib import suppress
from itertools import pairwise
from threading import Thread
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st
from requests.exceptions import RequestException, Timeout

from tests.contract.api.peer import BODY, OK, http
from worker.api.http1 import LARGEST_BODY, HttpConnection, HttpReply

if TYPE_CHECKING:
    from collections.abc import Sequence

REQUEST = b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"
SECONDS = 0.2

PARTS = st.sampled_from(
    [
        OK,
        http("100 Continue", body=b"", length=False),
        http("200 OK", "Transfer-Encoding: chunked", body=b"", length=False),
        http("200 OK", "Content-Length: 60000", body=b"", length=False),
        b"2d\r\n" + BODY + b"\r\n",
        b"0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"X: y\r\n",
        b"\r\n",
        b"x" * 70_000,
    ]
)


def exchanged(pieces: Sequence[bytes], *, closes: bool) -> HttpReply | RequestException:
    """One exchange with a peer that says these pieces, and closes or stays silent after."""
    near, far = socket.socketpair()
    near.setblocking(False)
    connection = HttpConnection(near)

    def answer() -> None:
        with suppress(OSError):
            for piece in pieces:
                far.sendall(piece)
            if closes:
                far.shutdown(socket.SHUT_WR)

    thread = Thread(target=answer, daemon=True)
    thread.start()
    try:
        return connection.exchange(REQUEST, SECONDS)
    except RequestException as error:
        return error
    finally:
        connection.close()
        far.close()
        thread.join(10)


def mutated(draw: st.DrawFn) -> bytes:
    """A good reply with some bytes changed, lost or doubled."""
    data = bytearray(OK)
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data) - 1))
        data[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=4))
    return bytes(data)


@given(
    data=st.lists(PARTS | st.binary(max_size=30), max_size=8).map(b"".join)
    | st.composite(mutated)(),
    cuts=st.sets(st.integers(0, 300), max_size=8),
    closes=st.booleans(),
)
@settings(max_examples=150)
def test_any_bytes_in_any_pieces(data: bytes, cuts: set[int], closes: bool) -> None:
    edges = sorted({cut for cut in cuts if cut < len(data)} | {0, len(data)})
    pieces = [data[a:b] for a, b in pairwise(edges)]
    match exchanged(pieces, closes=closes):
        case HttpReply(code=code, body=body):
            assert 200 <= code <= 999
            assert len(body) <= LARGEST_BODY
        case RequestException() as error:
            assert str(error).isprintable()
            assert not (isinstance(error, Timeout) and closes)
