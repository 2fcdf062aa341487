"""Peers of the client: raw sockets that answer, stall and lie as a test tells them."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable

    Script = Callable[["Talk"], None]

BODY = b'{"status":"0","reason":"success","data":null}'
_PATIENCE = 20.0


def http(status: str = "200 OK", *headers: str, body: bytes = BODY, length: bool = True) -> bytes:
    """A whole reply."""
    lines = [f"HTTP/1.1 {status}", *headers]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


OK = http()


class Talk:
    """One connection, as the peer sees it."""

    def __init__(self, peer: Peer, sock: socket.socket, number: int) -> None:
        self.peer = peer
        self.sock = sock
        self.number = number
        """From 1, in the order of connecting."""

    def hear(self) -> bytes:
        """The next request, whole; b"" when the client has closed."""
        data = b""
        while b"\r\n\r\n" not in data:
            piece = self.sock.recv(65536)
            if not piece:
                return b""
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        while len(body) < int(length or 0):
            body += self.sock.recv(65536)
        self.peer.requests.append(head + b"\r\n\r\n" + body)
        return self.peer.requests[-1]

    def say(self, data: bytes) -> None:
        """Send all of it at once."""
        self.sock.sendall(data)

    def drip(self, data: Iterable[bytes], every: float = 0.02) -> None:
        """Send piece by piece, until the client has closed or the test is over."""
        for piece in data:
            self.sock.sendall(piece)
            if self.peer.over.wait(every):
                return

    def stay(self) -> None:
        """Keep the connection open and silent until the test is over."""
        self.peer.over.wait(_PATIENCE)

    def reset(self) -> None:
        """End with RST instead of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()


class Peer:
    """A listener on the loopback; each connection runs `script` in a thread of its own.

    When the script returns, the connection is closed. With `context` it speaks TLS.
    """

    def __init__(
        self, script: Script, context: ssl.SSLContext | None = None, port: int = 0
    ) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.over = threading.Event()
        self._script = script
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", port), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http{'s' * bool(context)}://127.0.0.1:{self.port}/aivoice"
        self._socks: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._socks:
            with suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(_PATIENCE)

    def settle(self) -> None:
        """Wait until every script so far has come to its end and its connection is closed."""
        for thread in self._threads[1:]:
            thread.join(_PATIENCE)

    def _start(self, target: Callable[..., None], *args: object) -> None:
        self._threads.append(threading.Thread(target=target, args=args, daemon=True))
        self._threads[-1].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self.connections += 1
                self._start(self._talk, sock, self.connections)

    def _talk(self, sock: socket.socket, number: int) -> None:
        with suppress(OSError):
            sock.settimeout(_PATIENCE)
            if self._context:
                sock = self._context.wrap_socket(sock, server_side=True)
            self._socks.append(sock)
            with sock:
                self._script(Talk(self, sock, number))


def keeps_answering(talk: Talk) -> None:
    """The script of a good server."""
    while talk.hear():
        talk.say(OK)
