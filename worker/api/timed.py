"""Stock requests, with a time for the whole reply and a bound to its size."""

from __future__ import annotations

import socket
from io import BytesIO
from threading import Timer
from typing import TYPE_CHECKING, Any, cast

from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse
from urllib3.connection import HTTPConnection, HTTPSConnection

from worker.api.reader import LARGEST_BODY

if TYPE_CHECKING:
    from requests import PreparedRequest
    from urllib3.connectionpool import HTTPConnectionPool


class TimedAdapter(HTTPAdapter):
    """The stock adapter; its read timeout is for the whole reply, head and body together.

    Bodies come already read and not decompressed, and cut at one byte more than the largest.
    Connecting, and a proxy's answer to CONNECT, have the stock timeout for each read.
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


class _TimedReply(HTTPConnection):
    """A connection of urllib3 that reads each reply whole, in the read timeout altogether."""

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as urllib3 does itself
        """The next reply; `TimeoutError` when time is up."""
        late: list[bool] = []

        def cut(sock: socket.socket) -> None:
            late.append(True)
            # Not SSLSocket.shutdown: that would take TLS away under the reading thread.
            socket.socket.shutdown(sock, socket.SHUT_RDWR)

        timer = Timer(float(self.timeout or 0), cut, (self.sock,))
        timer.daemon = True
        timer.start()
        try:
            response = super().getresponse()
            body = response.read(LARGEST_BODY + 1, decode_content=False)
        except Exception:
            if late:
                raise TimeoutError from None
            raise
        finally:
            timer.cancel()
        if late:
            raise TimeoutError
        if len(body) > LARGEST_BODY:
            self.close()
        return HTTPResponse(
            body=BytesIO(body),
            headers=response.headers,
            status=response.status,
            version=response.version,
            reason=response.reason,
            preload_content=False,
            decode_content=False,
        )


class _TimedHTTP(_TimedReply):
    pass


class _TimedHTTPS(_TimedReply, HTTPSConnection):
    pass
