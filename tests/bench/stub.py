"""The provider's API at its cheapest: real sockets, one thread, no framework.

`python -m tests.bench.stub BOARD LATENCY` listens on a free port of the loopback, prints it, and
answers every POST with success after LATENCY seconds until its stdin closes. It looks at nothing
but the length of a request: here the contestants are measured, and what the API costs is only in
their way. (`ops.simulator` checks everything, at several times the CPU.)
"""

from __future__ import annotations

import re
import select
import socket
import sys
from collections import deque
from email.utils import formatdate
from pathlib import Path
from time import monotonic, monotonic_ns, time

from tests.bench.board import Board

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *([0-9]+)")
_PIECE = 256 * 1024
_BODY = b'{"status":"0","reason":"success","data":null}'
_LOOK_EVERY = 0.05
"""Seconds between looks at the board while replies are held."""
_TICK = 0.001
"""What epoll counts in; a reply is due half of it early, so that it is on time on average."""


class _Caller:
    """A connection, and what of its next request has come."""

    __slots__ = ("arrived", "buffer", "sock", "wanted")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.buffer = b""
        self.wanted = 0
        self.arrived = 0


class Stub:
    """Serves until nobody holds its stdin open any more."""

    def __init__(self, board: Board, latency: float) -> None:
        self._board = board
        self._latency = latency
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._listener.setblocking(False)
        self._epoll = select.epoll()
        self._callers: dict[int, _Caller] = {}
        self._due: deque[tuple[float, _Caller]] = deque()
        self._calls = self._nanoseconds = self._size = 0
        self._reply = (0, b"")
        for door in (self._listener.fileno(), sys.stdin.fileno()):
            self._epoll.register(door, select.EPOLLIN)

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        return int(self._listener.getsockname()[1])

    def serve(self) -> None:
        """Answer; returns when stdin has closed."""
        doors = {self._listener.fileno(): self._accept}
        while True:
            for descriptor, _ in self._epoll.poll(self._patience()):
                caller = self._callers.get(descriptor)
                if caller is not None:
                    self._read(caller)
                elif descriptor in doors:
                    doors[descriptor]()
                else:
                    return
            self._answer_due()

    def _patience(self) -> float:
        if not self._due:
            return -1
        if self._board.held:
            return _LOOK_EVERY
        return max(0.0, self._due[0][0] - monotonic() - _TICK / 2)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except BlockingIOError:
                return
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._callers[sock.fileno()] = _Caller(sock)
            self._epoll.register(sock.fileno(), select.EPOLLIN)

    def _read(self, caller: _Caller) -> None:
        try:
            data = caller.sock.recv(_PIECE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._leave(caller)
            return
        buffer = caller.buffer = caller.buffer + data if caller.buffer else data
        if not caller.wanted:
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            length = _LENGTH.search(buffer, 0, end + 2)
            caller.wanted = end + 4 + (int(length[1]) if length else 0)
        if len(buffer) >= caller.wanted:
            self._take(caller)

    def _take(self, caller: _Caller) -> None:
        """A request is whole: answer it, now or when it is due."""
        self._size += caller.wanted
        caller.buffer = caller.buffer[caller.wanted :]
        caller.wanted = 0
        caller.arrived = monotonic_ns()
        if self._latency or self._board.held:
            self._due.append((monotonic() + self._latency, caller))
        else:
            self._answer(caller)

    def _answer_due(self) -> None:
        due = self._due
        if not due or self._board.held:
            return
        now = monotonic() + _TICK / 2
        while due and due[0][0] <= now:
            self._answer(due.popleft()[1])

    def _answer(self, caller: _Caller) -> None:
        second = int(time())
        if self._reply[0] != second:
            self._reply = second, _reply(second)
        try:
            caller.sock.send(self._reply[1])
        except OSError:
            return  # it has left; its socket tells us so
        self._calls += 1
        self._nanoseconds += monotonic_ns() - caller.arrived
        self._board.write(self._calls, self._nanoseconds, self._size, monotonic())

    def _leave(self, caller: _Caller) -> None:
        self._epoll.unregister(caller.sock.fileno())
        del self._callers[caller.sock.fileno()]
        caller.sock.close()


def _reply(second: int) -> bytes:
    head = (
        "HTTP/1.1 200 OK",
        "Server: nginx",
        f"Date: {formatdate(second, usegmt=True)}",
        "Content-Type: application/json;charset=UTF-8",
        f"Content-Length: {len(_BODY)}",
        "Connection: keep-alive",
    )
    return "\r\n".join(head).encode() + b"\r\n\r\n" + _BODY


def main() -> None:
    """The process."""
    board, latency = sys.argv[1:]
    stub = Stub(Board(Path(board)), float(latency))
    sys.stdout.write(f"{stub.port}\n")
    sys.stdout.flush()
    stub.serve()


if __name__ == "__main__":
    main()
