"""Our transport adapter for requests: one deadline for the whole call, every reply bounded.

Stock requests has timeouts for each read, so a server that sends a byte now and then holds a
thread for ever, and it makes about nine system calls a request. An adapter is the extension
point that requests documents for this. Here connections and TLS are set up with urllib3
(`worker.api.dial`), and a call is then one send and its reads (`worker.api.wire`).

What it does not do itself (proxies, client certificates, other CA files, streamed uploads) it
leaves to the stock adapter that it extends.
"""

from __future__ import annotations

import re
from io import BytesIO
from typing import TYPE_CHECKING, Any

from requests import Response, exceptions
from requests.utils import select_proxy
from urllib3 import HTTPHeaderDict, HTTPResponse

from worker.api.broken import BrokenCallError, Stage, StayedError
from worker.api.dial import Origin, dial
from worker.api.head import head
from worker.api.idle import LONGEST_IDLE, Idle
from worker.api.timed import TimedAdapter
from worker.api.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import timedelta

    from requests import PreparedRequest

    from worker.api.reader import HttpReply

_ANNOUNCED = re.compile(r"timeout=(\d{1,4})", re.ASCII)


class DeadlineAdapter(TimedAdapter):
    """Sends requests and reads replies, each whole and in time; safe for many threads.

    `connect_timeout` is for a new connection, TLS included; `call_timeout` from the first byte
    sent to the last byte read. TLS is always verified, by `ca_file` or else certifi's.

    A request is sent once. When a kept connection breaks under it, nobody can tell whether the
    server heard it, and a second sending would pass neither the account's pacing nor the lane's
    lease: so the caller is told, and decides.
    """

    def __init__(
        self, connect_timeout: timedelta, call_timeout: timedelta, ca_file: str | None = None
    ) -> None:
        super().__init__()
        self.connect_seconds = connect_timeout.total_seconds()
        self.call_seconds = call_timeout.total_seconds()
        self.ca_file = ca_file
        self._idle: dict[Origin, Idle] = {}

    def exchange(
        self,
        origin: Origin,
        request: bytes,
        *,
        headless: bool = False,
        connect_seconds: float | None = None,
        call_seconds: float | None = None,
        leave: Callable[[], bool] = lambda: True,
    ) -> HttpReply:
        """Send the bytes of a whole request to `origin` and give its reply.

        `headless`: the request is HEAD. The seconds are the adapter's own unless given. `leave`
        is asked once the connection stands, right before anything is sent; if it says no,
        `StayedError` is raised. Raises `BrokenCallError`, and nothing else, for trouble of any
        kind with network or peer.
        """
        idle = self._idle.get(origin) or self._idle.setdefault(origin, Idle())
        wire = idle.take()
        if wire is None:
            wire = Wire(dial(origin, self.ca_file, connect_seconds or self.connect_seconds))
        if not leave():
            idle.keep(wire)
            raise StayedError
        try:
            reply = wire.exchange(request, call_seconds or self.call_seconds, headless=headless)
        except BaseException:
            wire.close()
            raise
        if wire.keeps_alive:
            idle.keep(wire, _announced(reply.headers))
        else:
            wire.close()
        return reply

    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,  # noqa: FBT001, FBT002
        timeout: Any = None,  # noqa: ANN401
        verify: bool | str | None = True,  # noqa: FBT001, FBT002
        cert: Any = None,  # noqa: ANN401
        proxies: Mapping[str, str] | None = None,
    ) -> Response:
        """What `requests.Session` calls; raises the exceptions of requests.

        `timeout` is read as seconds (to connect, for the whole call), or one number for both;
        None is the adapter's own. The body has always been read already, also with `stream`.
        """
        if verify is False:
            raise ValueError("this adapter does not switch the verification of TLS off")
        assert request.url is not None  # noqa: S101  (prepared requests have one)
        connect, call = self._seconds(timeout)
        streamed = not isinstance(request.body, bytes | str | None)
        if streamed or cert or isinstance(verify, str) or select_proxy(request.url, proxies):
            trusted = verify if isinstance(verify, str) else self.ca_file or True
            return super().send(request, stream, (connect, call), trusted, cert, proxies)
        body = request.body.encode() if isinstance(request.body, str) else request.body or b""
        try:
            reply = self.exchange(
                Origin.of(request.url),
                head(request) + b"\r\n" + body,
                headless=request.method == "HEAD",
                connect_seconds=connect,
                call_seconds=call,
            )
        except BrokenCallError as error:
            raise _as_requests(error, request) from error
        return self.build_response(request, _as_urllib3(reply, request))

    def _seconds(self, timeout: object) -> tuple[float, float]:
        match timeout:
            case (float() | int() | None as connect, float() | int() | None as call):
                return connect or self.connect_seconds, call or self.call_seconds
            case float() | int() | None:
                return timeout or self.connect_seconds, timeout or self.call_seconds
            case _:
                raise TypeError("a timeout is seconds, or (to connect, for the whole call)")

    def close(self) -> None:
        """Close the kept connections; those in use are closed when their call ends."""
        super().close()
        for idle in self._idle.values():
            idle.close()


def _announced(headers: Mapping[str, str]) -> float:
    """For how long the server says it keeps the connection, less a second for the way."""
    if "keep-alive" not in headers:
        return LONGEST_IDLE
    found = _ANNOUNCED.search(headers["keep-alive"])
    return int(found[1]) - 1.0 if found else LONGEST_IDLE


def _as_urllib3(reply: HttpReply, request: PreparedRequest) -> HTTPResponse:
    return HTTPResponse(
        body=BytesIO(reply.body),
        headers=HTTPHeaderDict(reply.headers),
        status=reply.code,
        reason=reply.phrase,
        preload_content=False,
        decode_content=False,
        request_method=request.method,
    )


def _as_requests(error: BrokenCallError, request: PreparedRequest) -> exceptions.RequestException:
    match error:
        case BrokenCallError(stage=Stage.CONNECT, late=True):
            kind: type[exceptions.RequestException] = exceptions.ConnectTimeout
        case BrokenCallError(late=True):
            kind = exceptions.ReadTimeout
        case BrokenCallError(stage=Stage.TLS):
            kind = exceptions.SSLError
        case _:
            kind = exceptions.ConnectionError
    return kind(error.detail, request=request)
