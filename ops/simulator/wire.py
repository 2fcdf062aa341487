"""One connection: requests parsed as they come, answered one after another."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

import httptools

from ops.simulator import reply
from ops.simulator.faults import Close, Hang, Send, Step, Wait
from ops.simulator.provider import Underway
from ops.simulator.reply import Reply

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTROL = "/_simulator/"
LARGEST_BODY = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """A request whole: `headers` by lower-case name, `arrived` the epoch of its last byte."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    arrived: float
    keep_alive: bool


class Service(Protocol):
    """What a connection asks of the server behind it."""

    def now(self) -> float:
        """Epoch seconds of the one clock."""

    def date(self, now: float) -> str:
        """The Date header at `now`, by the provider's clock."""

    def provider_clock(self, now: float) -> float:
        """The provider's epoch at `now`."""

    def connected(self, connection: Connection) -> int:
        """Note a connection; its number."""

    def disconnected(self, connection: Connection) -> None:
        """Forget a connection."""

    def answer(self, request: Request, connection: int) -> Underway | Reply | Iterator[Step]:
        """What becomes of a request: a call, a reply at once, or steps to play."""

    def abandoned(self, call: Underway) -> None:
        """The caller of this call has left."""

    def finished(self, call: Underway) -> None:
        """This call is over."""


class Connection(asyncio.Protocol):
    """Reads requests with httptools and plays the answers; pipelined ones wait their turn."""

    __slots__ = (
        "_body",
        "_call",
        "_headers",
        "_loop",
        "_number",
        "_parser",
        "_paused",
        "_playing",
        "_request",
        "_service",
        "_size",
        "_target",
        "_transport",
        "_waiting",
        "is_control",
    )

    def __init__(self, service: Service, loop: asyncio.AbstractEventLoop) -> None:
        """Not connected yet."""
        self._service = service
        self._loop = loop
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[Request] = deque()
        self._request: Request | None = None
        self._call: Underway | None = None
        self._playing: Iterator[Step] | None = None
        self._paused = False
        self._transport: asyncio.Transport | None = None
        self.is_control = False
        self.on_message_begin()

    # -- asyncio calls these

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The caller has connected."""
        self._transport = cast("asyncio.Transport", transport)
        self._number = self._service.connected(self)

    def data_received(self, data: bytes) -> None:
        """Some bytes of requests have come."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._refuse(400)

    def pause_writing(self) -> None:
        """The caller reads slower than we write."""
        self._paused = True

    def resume_writing(self) -> None:
        """The caller has caught up: play on."""
        self._paused = False
        if self._playing is not None:
            self._play(self._playing)

    def connection_lost(self, _: Exception | None) -> None:
        """The caller has left; the provider goes on with what it has begun."""
        self._transport = None
        self._waiting.clear()
        self._service.disconnected(self)
        call, playing, self._playing = self._call, self._playing, None
        if call is None:
            return
        self._service.abandoned(call)
        if playing is not None:  # its answer was on the way: there is nobody to take the rest
            self._call = None
            self._service.finished(call)

    # -- httptools calls these

    def on_message_begin(self) -> None:
        """A new request."""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._target = b""
        self._size = 0

    def on_url(self, url: bytes) -> None:
        """A part of the target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; of two with one name the last counts."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """All headers are here; some callers wait to be told to go on."""
        if self._headers.get("expect", "").lower() == "100-continue" and self._transport:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._size += len(body)
        if self._size > LARGEST_BODY:
            self._refuse(413)
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        """The last byte of a request has come."""
        request = Request(
            self._parser.get_method().decode("latin-1"),
            self._target.decode("latin-1"),
            self._headers,
            b"".join(self._body),
            self._service.now(),
            self._parser.should_keep_alive(),
        )
        if self._request is None:
            self._start(request)
        else:
            self._waiting.append(request)

    # -- the answer

    def abort(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def _start(self, request: Request) -> None:
        self._request = request
        self.is_control = request.target.startswith(CONTROL)
        given = self._service.answer(request, self._number)
        if isinstance(given, Reply):
            self._write_whole(given)
        elif isinstance(given, Underway):
            self._call = given
            if given.latency > 0:
                self._loop.call_later(given.latency, self._due, given)
            else:
                self._due(given)
        else:
            self._play(given)

    def _due(self, call: Underway) -> None:
        now = self._service.now()
        if self._transport is None:
            self._call = None
            self._service.finished(call)
        elif call.fault is not None:
            self._play(call.steps(self._service.provider_clock(now)))
        else:
            self._write_whole(call.due)

    def _write_whole(self, due: Reply) -> None:
        close = self._request is not None and not self._request.keep_alive
        if self._transport is not None:
            date = self._service.date(self._service.now())
            self._transport.write(reply.whole(due, date, close=close))
        self._done()

    def _play(self, playing: Iterator[Step]) -> None:
        self._playing = playing
        for step in playing:
            if self._transport is None:
                return
            match step:
                case Send(data):
                    self._transport.write(data)
                    if self._paused:
                        return
                case Wait(seconds):
                    self._loop.call_later(seconds, self._resume, playing)
                    return
                case Hang():
                    return
                case Close(reset):
                    self._end(reset=reset)
                    break
        self._done()

    def _resume(self, playing: Iterator[Step]) -> None:
        if playing is self._playing and not self._paused:
            self._play(playing)

    def _done(self) -> None:
        call, request = self._call, self._request
        self._call = self._playing = self._request = None
        if call is not None:
            self._service.finished(call)
        if request is not None and not request.keep_alive and self._transport is not None:
            self._transport.close()
        elif self._waiting:
            self._loop.call_soon(self._next)

    def _next(self) -> None:
        if self._request is None and self._waiting:
            self._start(self._waiting.popleft())

    def _end(self, *, reset: bool) -> None:
        if self._transport is None:
            return
        self._waiting.clear()
        if not reset:
            self._transport.close()
            return
        sock = self._transport.get_extra_info("socket")
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def _refuse(self, code: int) -> None:
        if self._transport is not None:
            date = self._service.date(self._service.now())
            self._transport.write(reply.whole(Reply(code, b"", ()), date, close=True))
            self._transport.close()
