"""One kept connection: a request out, its reply in, under one deadline."""

from __future__ import annotations

import select
import ssl
from time import monotonic
from typing import TYPE_CHECKING

from worker.api.broken import broken, late_reply
from worker.api.reader import Reader

if TYPE_CHECKING:
    import socket

    from worker.api.reader import HttpReply

_PIECE = 16 * 1024
"""Bytes to read at once: a TLS record at most."""

_NOT_YET = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Wire:
    """A connected, non-blocking socket (TLS or not) and the reader of what comes on it.

    The socket itself never waits; the one place that does is `_wait`, which knows the deadline.
    So a peer that drips bytes, TLS records or nothing at all makes no difference. A call whose
    reply comes in one piece takes three system calls: send, poll, recv.
    """

    __slots__ = ("_deadline", "_poll", "_reader", "_seconds", "_sock", "good_until")

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._reader = Reader()
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        self.good_until = 0.0

    def exchange(self, request: bytes, seconds: float, *, headless: bool = False) -> HttpReply:
        """Send `request` whole and read its reply, in `seconds` altogether.

        `BrokenCallError` if there is none; the wire is of no more use then.
        """
        self._seconds = seconds
        self._deadline = monotonic() + seconds
        self._reader.expect(headless=headless)
        try:
            self._send(request)
            return self._receive()
        except OSError as error:
            raise broken(error, begun=self._reader.begun) from None

    @property
    def keeps_alive(self) -> bool:
        """Whether the reply just read lets another request follow."""
        return self._reader.keeps_alive

    def is_quiet(self) -> bool:
        """Whether nothing has come since the last reply: no end, no error, no stray bytes.

        To be asked before each further request. TLS itself may have had something to say
        (tickets), which is no harm.
        """
        if not self._poll.poll(0):
            return True
        if not isinstance(self._sock, ssl.SSLSocket):
            return False
        try:
            self._sock.recv(1)
        except ssl.SSLWantReadError:
            return True
        except OSError:
            return False
        return False

    def close(self) -> None:
        """Shut the connection; any number of times."""
        self._sock.close()

    def _send(self, request: bytes) -> None:
        rest: bytes | memoryview = request
        while True:
            try:
                sent = self._sock.send(rest)
            except _NOT_YET as error:
                self._wait(_wanted(error, select.POLLOUT))
                continue
            if sent == len(rest):
                return
            rest = memoryview(rest)[sent:]

    def _receive(self) -> HttpReply:
        wanted = select.POLLIN
        while True:
            self._wait(wanted)
            try:
                data = self._sock.recv(_PIECE)
            except _NOT_YET as error:
                wanted = _wanted(error, select.POLLIN)
                continue
            reply = self._reader.feed(data)
            if reply is not None:
                return reply

    def _wait(self, event: int) -> None:
        """Until the socket is ready or the deadline is over."""
        if event != select.POLLIN:
            self._poll.modify(self._sock, event)
        try:
            left = self._deadline - monotonic()
            if left <= 0 or not self._poll.poll(left * 1000):
                raise late_reply(self._seconds)
        finally:
            if event != select.POLLIN:
                self._poll.modify(self._sock, select.POLLIN)


def _wanted(error: OSError, usual: int) -> int:
    """What to wait for; TLS may have to read before it can write, and the other way round."""
    match error:
        case ssl.SSLWantReadError():
            return select.POLLIN
        case ssl.SSLWantWriteError():
            return select.POLLOUT
        case _:
            return usual
