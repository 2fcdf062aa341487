"""The ops HTTP server: one thread and no waiting, so that no client can keep it from another.

Not the standard library's server: that gives each client a thread and a timeout for each read, so
some that send a byte now and then, or never read, take its threads for good.
"""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector
from threading import Thread
from time import monotonic, sleep
from typing import TYPE_CHECKING

import structlog

from worker.observability.status import answer, refusal

if TYPE_CHECKING:
    from worker.observability.status import Probes

log = structlog.get_logger()

LIFETIME = 10.0
"""Seconds that a connection may take for everything."""
FAREWELL = 1.0
"""Seconds that it may take to hear of its end, the response having been sent."""
MOST_CONNECTIONS = 64
"""One more, and the oldest goes: it is the likeliest to be stuck."""
LARGEST_HEAD = 16 * 1024
CHUNK = 64 * 1024
RESERVED = 4
"""Descriptors kept for when the process has no others: what asks for /livez must be answered."""
BREATH = 0.1
"""Seconds to wait when the process has no file descriptors left."""


@dataclass(slots=True, eq=False)
class _Connection:
    socket: socket.socket
    until: float
    received: bytearray = field(default_factory=bytearray)
    to_send: memoryview | None = None
    """What is left of the response; None before there is one."""


class Server:
    """Answers on one address until it is closed. See `serve`."""

    def __init__(self, listener: socket.socket, probes: Probes, lifetime: float) -> None:
        """Start the thread."""
        self._lifetime = lifetime
        self._listener = listener
        self._probes = probes
        self._connections: dict[socket.socket, _Connection] = {}
        self._selector = DefaultSelector()
        self._stopped, self._stop = socket.socketpair()
        self._reserve: list[int] = []
        self._fill_reserve()
        self._selector.register(listener, EVENT_READ)
        self._selector.register(self._stopped, EVENT_READ)
        host, port = listener.getsockname()[:2]
        self.address: tuple[str, int] = (host, port)
        self._thread = Thread(target=self._run, name="ops", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening, drop the connections and end the thread."""
        with suppress(OSError):
            self._stop.send(b"x")
        self._thread.join(FAREWELL)

    def _run(self) -> None:
        while True:
            ready = [key.fileobj for key, _ in self._selector.select(self._patience())]
            if self._stopped in ready:
                break
            for one in ready:
                self._attend(one)
            for connection in self._overdue():
                self._drop(connection)
        for connection in list(self._connections.values()):
            self._drop(connection)
        self._selector.close()
        for descriptor in self._reserve:
            os.close(descriptor)
        for one in (self._listener, self._stopped, self._stop):
            one.close()

    def _attend(self, one: object) -> None:
        if one is self._listener:
            self._accept()
            return
        connection = self._connections.get(one)  # type: ignore[call-overload]
        if connection is None:
            return
        try:
            self._advance(connection)
        except BlockingIOError:
            return
        except OSError:
            self._drop(connection)
        except Exception:
            log.exception("ops_connection_failed")
            self._drop(connection)

    def _accept(self) -> None:
        accepted = self._accepted()
        if accepted is None:
            sleep(BREATH)
            return
        if len(self._connections) >= MOST_CONNECTIONS:
            self._drop(next(iter(self._connections.values())))
        accepted.settimeout(0)
        self._connections[accepted] = _Connection(accepted, monotonic() + self._lifetime)
        self._selector.register(accepted, EVENT_READ)

    def _accepted(self) -> socket.socket | None:
        """The next connection, with a descriptor of the reserve if there is no other."""
        while True:
            try:
                return self._listener.accept()[0]
            except OSError as error:
                if error.errno not in {errno.EMFILE, errno.ENFILE}:
                    return None
                if self._reserve:
                    os.close(self._reserve.pop())
                elif self._connections:
                    self._drop(next(iter(self._connections.values())))
                else:
                    return None

    def _fill_reserve(self) -> None:
        with suppress(OSError):
            while len(self._reserve) < RESERVED:
                self._reserve.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))

    def _advance(self, connection: _Connection) -> None:
        """Read the head, then send the response, then wait for the client to hang up."""
        if connection.to_send is None:
            self._receive(connection)
        elif connection.to_send:
            sent = connection.socket.send(connection.to_send[:CHUNK])
            connection.to_send = connection.to_send[sent:]
            if not connection.to_send:
                self._say_farewell(connection)
        elif not connection.socket.recv(CHUNK):
            self._drop(connection)

    def _receive(self, connection: _Connection) -> None:
        more = connection.socket.recv(CHUNK)
        if not more:
            self._drop(connection)
            return
        head = connection.received
        head += more
        if b"\r\n\r\n" in head or b"\n\n" in head:
            response = answer(bytes(head), self._probes)
        elif len(head) > LARGEST_HEAD:
            response = refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        else:
            return
        connection.to_send = memoryview(response)
        self._selector.modify(connection.socket, EVENT_WRITE)

    def _say_farewell(self, connection: _Connection) -> None:
        """End our half only: closing on what the client still sends would reset the connection."""
        connection.until = min(connection.until, monotonic() + FAREWELL)
        connection.socket.shutdown(socket.SHUT_WR)
        self._selector.modify(connection.socket, EVENT_READ)

    def _drop(self, connection: _Connection) -> None:
        del self._connections[connection.socket]
        self._selector.unregister(connection.socket)
        connection.socket.close()
        self._fill_reserve()

    def _overdue(self) -> list[_Connection]:
        now = monotonic()
        return [one for one in self._connections.values() if one.until <= now]

    def _patience(self) -> float | None:
        first = min((one.until for one in self._connections.values()), default=None)
        return None if first is None else max(0.0, first - monotonic())


def serve(address: tuple[str, int], probes: Probes, *, lifetime: float = LIFETIME) -> Server:
    """Answer on host and port from now on; port 0 takes a free one (see `Server.address`).

    ``::`` answers on IPv4 too. `lifetime`: seconds that a client may take. Raises `OSError` when
    the address cannot be listened on.
    """
    host, port = address
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, *_, where = found[0]
    both = family == socket.AF_INET6 and where[0] == "::" and socket.has_dualstack_ipv6()
    listener = socket.create_server(where, family=family, dualstack_ipv6=both)
    listener.settimeout(0)
    return Server(listener, probes, lifetime)
