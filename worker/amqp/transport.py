"""What connects pika to our loop: guarded while a connection is opened, one write a turn after.

pika's transport makes one system call a frame, and a publication has three. Each lets go of the
interpreter's lock, and under load another thread takes it. pika's `nbio_interface` is the place
to put another transport in.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from pika.adapters.asyncio_connection import (  # what pika itself uses
    _AsyncioIOServicesAdapter,
    _TimerHandle,
)
from pika.adapters.utils.nbio_interface import (
    AbstractIOReference,
    AbstractStreamTransport,
)

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Callable
    from socket import socket
    from ssl import SSLContext

    from pika.adapters.utils.nbio_interface import AbstractStreamProtocol

    from worker.loop import Loop

    Made = tuple[AbstractStreamTransport, AbstractStreamProtocol]


READ_AT_MOST = 64 * 1024
"""Bytes read from a socket at once."""
WRITTEN_AT_MOST = 128 * 1024
"""Bytes given to pika's transport at once: it copies what is left of them after each part sent."""
SENT_LOOKS_EVERY = 0.0005
"""Seconds between looks whether the kernel has taken what was written."""


class BatchingTransport(AbstractStreamTransport):
    """Passes on in one piece, at the end of the turn, what was written during it.

    With a socket to send to, what the kernel takes at once is sent there and then: pika's own
    transport asks it first whether it would take anything, and sends a turn later.
    """

    def __init__(self, transport: AbstractStreamTransport, loop: Loop, sock: socket | None) -> None:
        self._transport = transport
        self._loop = loop
        self._sock = sock
        self._written: list[bytes] = []
        self._told: list[Callable[[], None]] = []
        self._over = False

    def over(self) -> None:
        """The connection is lost: nothing is sent any more, and nobody has to wait for it."""
        self._over = True

    def abort(self) -> None:
        """Close abruptly; what was not passed on is lost, as it would be in the socket."""
        self._over = True
        self._transport.abort()

    def get_protocol(self) -> AbstractStreamProtocol:
        """The protocol linked to this transport."""
        return self._transport.get_protocol()

    def get_write_buffer_size(self) -> int:
        """Bytes written and not sent yet."""
        return sum(map(len, self._written)) + self._transport.get_write_buffer_size()

    def write(self, data: bytes) -> None:
        """Send `data` at the end of this turn of the loop."""
        if not self._written:
            self._loop.soon(self._flush)
        self._written.append(data)

    def when_sent(self, callback: Callable[[], None]) -> None:
        """Call back once all that was written up to now is with the kernel, or lost."""
        if not self._told:
            self._loop.soon(self._look_whether_sent)
        self._told.append(callback)

    def _flush(self) -> None:
        data, self._written = b"".join(self._written), []
        if not self._over:
            for at in range(self._send(data), len(data), WRITTEN_AT_MOST):
                self._transport.write(data[at : at + WRITTEN_AT_MOST])

    def _send(self, data: bytes) -> int:
        """How many bytes the kernel has taken; what it has against the rest, pika finds out."""
        if self._sock is None or self._transport.get_write_buffer_size():
            return 0
        try:
            return self._sock.send(data)
        except OSError:
            return 0

    def _look_whether_sent(self) -> None:
        if not self._over and self.get_write_buffer_size() > 0:
            self._loop.call_later(SENT_LOOKS_EVERY, self._look_whether_sent)
            return
        told, self._told = self._told, []
        for callback in told:
            callback()


def _read_at_once(transport: AbstractStreamTransport, sock: socket | None) -> None:
    """Have one system call read what is there, rather than 4 KiB each until one finds nothing.

    Not where TLS is between, which may keep bytes back that no socket tells of.
    """
    if sock is not None:
        transport._MAX_RECV_BYTES = READ_AT_MOST  # type: ignore[attr-defined]  # noqa: SLF001
        transport._MAX_CONSUME_BYTES = 1  # type: ignore[attr-defined]  # noqa: SLF001


class Failed(AbstractIOReference):
    """A connection that failed at once, which is told in the next turn of the loop."""

    def __init__(self, services: GuardedServices, tell: Callable[[], None]) -> None:
        self._timer = services.call_later(0, tell)

    def cancel(self) -> bool:
        """Do not tell."""
        self._timer.cancel()
        return True


class GuardedServices(_AsyncioIOServicesAdapter):
    """pika's I/O services for one connection; what pika raises while it is opened ends no loop."""

    opening: Future[Any] | None = None
    """Of the connection that is being opened: it is told what pika raises meanwhile."""

    def add_callback_threadsafe(self, callback: Callable[[], object]) -> None:
        """As pika's own."""
        super().add_callback_threadsafe(self._told(callback))

    def call_later(self, delay: float, callback: Callable[[], object]) -> _TimerHandle:
        """As pika's own."""
        return super().call_later(delay, self._told(callback))

    def getaddrinfo(  # type: ignore[override]
        self,
        host: str,
        port: int,
        on_done: Callable[..., None],
        family: int = 0,
        socktype: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> AbstractIOReference:
        """As pika's own."""
        return super().getaddrinfo(host, port, self._told(on_done), family, socktype, proto, flags)

    def _told(self, callback: Callable[..., object]) -> Callable[..., None]:
        """The callback, but an `OSError` of its own is told to whoever opens a connection.

        pika opens sockets in its callbacks, and does not expect that there may be none: no
        descriptor is left. What it raises there would end the loop, and the process.
        """

        def told(*given: object) -> None:
            try:
                callback(*given)
            except OSError as error:
                if self.opening is None or self.opening.done():
                    raise
                self.opening.set_exception(error)

        return told

    def create_streaming_connection(
        self,
        protocol_factory: Callable[[], AbstractStreamProtocol],
        sock: socket,
        on_done: Callable[[Made | BaseException], None],
        ssl_context: SSLContext | None = None,
        server_hostname: str | None = None,
    ) -> AbstractIOReference:
        """As pika's own, but a socket that was reset before pika looks at it is told to `on_done`.

        pika raises then, out of the loop, and the process would end.
        """
        factory = partial(self.protocol, protocol_factory, None if ssl_context else sock)
        try:
            return super().create_streaming_connection(
                factory, sock, on_done, ssl_context, server_hostname
            )
        except (OSError, ValueError) as error:
            return Failed(self, partial(on_done, error))

    def protocol(
        self, made_by: Callable[[], AbstractStreamProtocol], sock: socket | None
    ) -> AbstractStreamProtocol:
        """What pika speaks on a connection; `sock` is None where TLS is between."""
        protocol = made_by()
        made = protocol.connection_made

        def connection_made(transport: AbstractStreamTransport) -> None:
            _read_at_once(transport, sock)
            made(transport)

        protocol.connection_made = connection_made  # type: ignore[method-assign]
        return protocol


class BatchingServices(GuardedServices):
    """The same on our loop, with a batching transport."""

    transport: BatchingTransport | None = None
    """Of the connection made last."""

    def __init__(self, loop: Loop) -> None:
        super().__init__(loop.aio)
        self._turns = loop

    def when_sent(self, callback: Callable[[], None]) -> None:
        """Call back, later, once all that was written up to now has left the process."""
        if self.transport is None:
            self._turns.soon(callback)
        else:
            self.transport.when_sent(callback)

    def protocol(
        self, made_by: Callable[[], AbstractStreamProtocol], sock: socket | None
    ) -> AbstractStreamProtocol:
        """A protocol that is given a transport that batches."""
        protocol = made_by()
        made, lost = protocol.connection_made, protocol.connection_lost
        own: list[BatchingTransport] = []

        def connection_made(transport: AbstractStreamTransport) -> None:
            _read_at_once(transport, sock)
            self.transport = BatchingTransport(transport, self._turns, sock)
            own.append(self.transport)
            made(self.transport)

        def connection_lost(error: BaseException | None) -> None:
            for transport in own:
                transport.over()
            lost(error)

        protocol.connection_made = connection_made  # type: ignore[method-assign]
        protocol.connection_lost = connection_lost  # type: ignore[method-assign]
        return protocol
