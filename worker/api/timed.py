"""Stock requests, with a time for the whole reply and a bound to its size."""

from __future__ import annotations

import socket
from contextlib import closing
from http.client import HTTPException
from io import BytesIO
from threading import Event, Timer
from typing import TYPE_CHECKING, Any, cast

from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse
from urllib3.connection import HTTPConnection, HTTPSConnection

from worker.api.reader import LARGEST_BODY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from requests import PreparedRequest, Response
    from urllib3.connectionpool import HTTPConnectionPool


LONGEST_REPLY = 3600.0
"""Seconds, where requests was told no timeout."""


class TimedAdapter(HTTPAdapter):
    """The stock adapter; its read timeout is for the whole reply, head and body together.

    Bodies come already read, not decompressed; one that is too large is an error. Connecting,
    and a proxy's answer to CONNECT, have the stock timeout for each read.
    """

    def get_connection_with_tls_context(
        self,
        request: PreparedRequest,
        verify: Any,  # noqa: ANN401  (requests' own, and private, type)
        proxies: Any = None,  # noqa: ANN401
        cert: Any = None,  # noqa: ANN401
    ) -> HTTPConnectionPool:
        """The pool that requests would take, making timed connections."""
        pool = cast(
            "HTTPConnectionPool",
            super().get_connection_with_tls_context(request, verify, proxies, cert),
        )
        pool.ConnectionCls = _TimedHTTPS if pool.scheme == "https" else _TimedHTTP
        return pool

    def build_response(self, req: PreparedRequest, resp: Any) -> Response:  # noqa: ANN401
        """The reply for requests; its connection is free, for its body has been read."""
        resp.release_conn()
        return super().build_response(req, resp)


class LateError(TimeoutError):
    """The time for the whole reply is up."""


class LargeError(HTTPException):
    """The body is larger than we take."""


class _TimedReply(HTTPConnection):
    """A connection of urllib3 that reads each reply whole, in the read timeout altogether."""

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as urllib3 does itself
        """The next reply; `LateError` when time is up, `LargeError` when there is no end."""
        late = Event()

        def cut(sock: socket.socket) -> None:
            late.set()
            # Not SSLSocket.shutdown: that would take TLS away under the reading thread.
            socket.socket.shutdown(sock, socket.SHUT_RDWR)

        timer = Timer(self.timeout or LONGEST_REPLY, cut, (self.sock,))
        timer.daemon = True
        timer.start()
        try:
            with closing(super().getresponse()) as response:
                body = b"".join(_pieces(response))
        except Exception as error:
            if late.is_set():
                raise LateError from error
            raise
        finally:
            timer.cancel()
        if late.is_set():  # and taken for the end of a reply without length
            raise LateError
        return HTTPResponse(
            body=BytesIO(body),
            headers=response.headers,
            status=response.status,
            reason=response.reason,
            preload_content=False,
            decode_content=False,
        )


def _pieces(response: HTTPResponse) -> Iterator[bytes]:
    """The body until its end; urllib3 says there if it came too soon."""
    room = LARGEST_BODY
    while piece := response.read(room + 1, decode_content=False):
        room -= len(piece)
        if room < 0:
            raise LargeError
        yield piece


class _TimedHTTP(_TimedReply):
    pass


class _TimedHTTPS(_TimedReply, HTTPSConnection):
    pass
