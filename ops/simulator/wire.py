"""One connection: requests parsed as they come, answered one after another."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

import httptools

from ops.simulator import reply
from ops.simulator.faults import table
from ops.simulator.player import Player
from ops.simulator.provider import Underway
from ops.simulator.reply import Reply

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops.simulator.faults.fault import Step

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

    def date(self) -> str:
        """The Date header of this moment, by the provider's clock."""

    def provider_now(self) -> float:
        """The provider's epoch."""

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
    """Reads requests with httptools; pipelined ones wait their turn.

    `is_control`: the latest request was for the control paths.
    """

    def __init__(self, service: Service, loop: asyncio.AbstractEventLoop) -> None:
        self._service = service
        self._loop = loop
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[Request] = deque()
        self._request: Request | None = None
        self._call: Underway | None = None
        self._is_lost = False
        self.is_control = False
        self.on_message_begin()

    # -- asyncio calls these

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The caller has connected."""
        self._transport = cast("asyncio.Transport", transport)
        self._player = Player(self._transport, self._loop, self._done)
        self._number = self._service.connected(self)

    def data_received(self, data: bytes) -> None:
        """Some bytes of requests have come."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._refuse(400)

    def pause_writing(self) -> None:
        """The caller reads slower than we write."""
        self._player.pause()

    def resume_writing(self) -> None:
        """The caller has caught up."""
        self._player.resume()

    def connection_lost(self, _: Exception | None) -> None:
        """The caller has left; what the provider has begun, it finishes all the same."""
        self._is_lost = True
        self._waiting.clear()
        self._service.disconnected(self)
        call, was_playing = self._call, self._player.is_playing
        self._player.stop()
        if call is None:
            return
        self._service.abandoned(call)
        if was_playing:  # its answer was on the way: there is nobody to take the rest
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
        """All headers are here; some callers wait to be told to go on (RFC 9110, 10.1.1)."""
        if self._headers.get("expect", "").lower() == "100-continue":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._size += len(body)
        if self._size <= LARGEST_BODY:
            self._body.append(body)
        elif not self._transport.is_closing():
            self._refuse(413)

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
        if self._transport.is_closing():
            return
        if self._request is None:
            self._start(request)
        else:
            self._waiting.append(request)

    # -- the answer

    def abort(self) -> None:
        """End the connection at once."""
        self._transport.abort()

    def _start(self, request: Request) -> None:
        self._request = request
        self.is_control = request.target.startswith(CONTROL)
        given = self._service.answer(request, self._number)
        if isinstance(given, Reply):
            self._write(given)
        elif isinstance(given, Underway):
            self._call = given
            if given.decision.latency > 0:
                self._loop.call_later(given.decision.latency, self._reply, given)
            else:
                self._reply(given)
        else:
            self._player.play(given)

    def _reply(self, call: Underway) -> None:
        decision = call.decision
        if self._is_lost:
            self._call = None
            self._service.finished(call)
        elif decision.fault is None:
            self._write(decision.due)
        else:
            now = self._service.provider_now()
            self._player.play(table.steps(decision.fault, decision.due, now))

    def _write(self, due: Reply) -> None:
        close = self._request is not None and not self._request.keep_alive
        self._transport.write(reply.whole(due, self._service.date(), close=close))
        self._done()

    def _done(self) -> None:
        call, request = self._call, self._request
        self._call = self._request = None
        if call is not None:
            self._service.finished(call)
        if request is not None and not request.keep_alive:
            self._transport.close()
        elif self._waiting:
            self._loop.call_soon(self._next)

    def _next(self) -> None:
        if self._request is None and self._waiting and not self._transport.is_closing():
            self._start(self._waiting.popleft())

    def _refuse(self, code: int) -> None:
        refusal = Reply(code, b"", ())
        self._transport.write(reply.whole(refusal, self._service.date(), close=True))
        self._transport.close()
