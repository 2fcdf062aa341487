"""Our transport adapter for requests: one deadline for the whole call, every reply bounded.

Stock requests has timeouts for each read, so a server that sends a byte now and then holds a
thread for ever; it makes about nine system calls a request, and it may ask nobody between
connecting and sending. An adapter is the extension point that requests documents for this.
"""

from __future__ import annotations

import re
from collections import deque
from functools import cached_property
from threading import Event, Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import BaseAdapter
from requests.cookies import RequestsCookieJar
from requests.exceptions import InvalidHeader, RequestException
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers, select_proxy

from worker.api.connect import Route, connect
from worker.api.errors import NotSentError
from worker.api.http1 import LARGEST_BODY, HttpConnection

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from datetime import timedelta

    from worker.api.http1 import HttpReply
    from worker.core.reply import Leave

LONGEST_IDLE = 15.0
"""Seconds after which a kept connection is not used again.

Below what servers commonly allow (Tomcat 20, most balancers 60), so that it is we who close: a
request that crosses the server's closing on its way is lost, and nobody can say whether it was
heard. A shorter time that the server announces (``Keep-Alive: timeout=5``) counts.
"""

SWEEP_EVERY = 1.0
"""Seconds between two looks for connections whose time is over."""

_HARMLESS = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
"""What a header value may hold (RFC 9110, 5.5): no control characters but the tab."""

_ANNOUNCED = re.compile(r"timeout=(\d{1,4})", re.ASCII)


class HttpHeaders(CaseInsensitiveDict[str]):
    """Headers as requests has them, but made, copied, asked and read without a step for each."""

    def __init__(self, store: dict[str, tuple[str, str]]) -> None:
        """`store`: name in lower case to name and value."""
        self._store = store

    @classmethod
    def of(cls, lower: Mapping[str, str]) -> HttpHeaders:
        """Those of a reply, whose names are in lower case already."""
        return cls({name: (name, value) for name, value in lower.items()})

    def copy(self) -> HttpHeaders:
        """Another one that holds the same."""
        return HttpHeaders(self._store.copy())

    def __contains__(self, name: object) -> bool:
        """Whether there is one of this name, in any case."""
        return str(name).lower() in self._store

    def items(self) -> Collection[tuple[str, str]]:  # type: ignore[override]
        """Each header's name, as it was written, and value."""
        return self._store.values()


class ApiRequest(requests.PreparedRequest):
    """A prepared request that asks once more before it leaves."""

    leave: Leave | None = None
    """Asked when the connection stands, right before anything is sent."""

    def prepare_headers(self, headers: Mapping[str, str | bytes] | None) -> None:
        """Check and take the headers, as requests does."""
        super().prepare_headers(headers)
        taken = {name.lower(): (name, value) for name, value in self.headers.items()}
        self.headers = HttpHeaders(taken)

    @cached_property
    def path_url(self) -> str:
        """The path and query of the URL, which a copy need not split again."""
        return str(super().path_url)

    def copy(self) -> ApiRequest:
        """Another one, with headers of its own."""
        made = ApiRequest.__new__(ApiRequest)
        made.__dict__.update(self.__dict__)
        made.headers = self.headers.copy()
        return made


class ApiResponse(requests.Response):
    """A reply that has been read whole. Its content is as it was sent, not decompressed."""

    def __init__(self, reply: HttpReply, request: requests.PreparedRequest) -> None:
        # Not Response.__init__, which makes a cookie jar: a quarter of what a call costs.
        self._content = reply.body
        self._content_consumed = True
        self._next = None
        self.status_code = reply.code
        self.reason = reply.phrase
        self.headers = HttpHeaders.of(reply.headers)
        self.raw = None
        self.url = str(request.url)
        self.request = request
        self.history = []

    @cached_property
    def encoding(self) -> str | None:  # type: ignore[override]
        """What the body's text is written in, as its `Content-Type` says."""
        return get_encoding_from_headers(self.headers)

    @cached_property
    def cookies(self) -> RequestsCookieJar:  # type: ignore[override]
        """None: the API sets none that count."""
        return RequestsCookieJar()


class ApiSession(requests.Session):
    """A session with our adapter, deaf to the environment, that never follows a redirect."""

    def __init__(self, adapter: BoundedAdapter) -> None:
        super().__init__()
        self.trust_env = False
        self.adapters.clear()
        self.mount("https://", adapter)
        self.mount("http://", adapter)
        self.headers["Accept-Encoding"] = "identity"

    def resolve_redirects(self, *_: object, **__: object) -> Iterator[Any]:
        """None, whatever the reply says: an edit is never sent to another address."""
        return iter(())


class BoundedAdapter(BaseAdapter):
    """Sends requests and reads replies, each whole and in time; safe for many threads.

    `connect_timeout` is for a new connection, proxy and TLS included; `call_timeout` from the
    first byte sent to the last byte read. TLS is always verified, by `ca_file` or else certifi's.

    A request is sent once. When a kept connection breaks under it, nobody can tell whether the
    server heard it, and a second sending would pass neither the account's pacing nor the lane's
    lease: so the caller is told, and decides.
    """

    def __init__(
        self,
        connect_timeout: timedelta,
        call_timeout: timedelta,
        ca_file: str | None = None,
        *,
        largest_body: int = LARGEST_BODY,
    ) -> None:
        super().__init__()
        self._connect_seconds = connect_timeout.total_seconds()
        self._call_seconds = call_timeout.total_seconds()
        self._ca_file = ca_file
        self._largest_body = largest_body
        self._pools: dict[tuple[str, str | None], tuple[Route, ConnectionPool]] = {}

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: ARG002, FBT001, FBT002
        timeout: Any = None,  # noqa: ANN401
        verify: bool | str | None = True,  # noqa: FBT001, FBT002
        cert: Any = None,  # noqa: ANN401
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """What `requests.Session` calls; raises the exceptions of requests.

        The reply has been read whole, also with `stream`. `ValueError` for what this adapter is
        told when it is made, and not for each request: timeouts, authorities, certificates.
        """
        if timeout is not None or verify is not True or cert is not None:
            raise ValueError("this adapter has its own timeouts and verifies TLS by its CA file")
        body = request.body or b""
        if not isinstance(body, bytes):
            raise TypeError("the body must be bytes")
        try:
            reply = self._exchange(request, body, proxies)
        except RequestException as error:
            error.request = request
            raise
        return ApiResponse(reply, request)

    def close(self) -> None:
        """Close the kept connections; those in use are closed when their call ends."""
        for _, pool in self._pools.values():
            pool.close()

    def _exchange(
        self, request: requests.PreparedRequest, body: bytes, proxies: Mapping[str, str] | None
    ) -> HttpReply:
        url = str(request.url)
        route, pool = self._pool(url, select_proxy(url, proxies) if proxies else None)
        data = head(request, body, route) + body
        connection = pool.take()
        if connection is None:
            sock = connect(route, self._ca_file, self._connect_seconds)
            connection = HttpConnection(sock, self._largest_body)
        try:
            leave, sent, reply = getattr(request, "leave", None), None, None
            if leave is None or (sent := leave()) is not None:
                headless = request.method == "HEAD"
                reply = connection.exchange(data, self._call_seconds, headless=headless, sent=sent)
        except BaseException:
            connection.close()
            raise
        if reply is None:
            pool.keep(connection)
            raise NotSentError("it may not be sent any more")
        if connection.keeps_alive:
            pool.keep(connection, _announced(reply.headers))
        else:
            connection.close()
        return reply

    def _pool(self, url: str, proxy: str | None) -> tuple[Route, ConnectionPool]:
        origin = url[: url.index("/", 8)]  # a prepared URL has a path
        found = self._pools.get((origin, proxy))
        if found is None:
            made = Route.of(url, proxy), ConnectionPool()
            found = self._pools.setdefault((origin, proxy), made)
        return found


def head(request: requests.PreparedRequest, body: bytes, route: Route) -> bytes:
    """Request line and headers, with those that each request must have, and the empty line.

    Raises `InvalidHeader` for a value that would end its line: requests checks what it prepares,
    but what it has prepared can be changed. The message never shows a value.
    """
    target = request.path_url
    headers = request.headers
    fields = [f"{name}: {_text(value)}" for name, value in headers.items()]
    if not _HARMLESS.fullmatch("".join(fields)):
        raise InvalidHeader("a header holds a control character")
    lines = []
    if "host" not in headers:
        lines.append(f"Host: {route.host_header}")
    if "content-length" not in headers and request.method not in {"GET", "HEAD"}:
        lines.append(f"Content-Length: {len(body)}")
    if route.proxy is not None and not route.is_tunnel:
        target = f"http://{route.host_header}{target}"
        lines += route.proxy_header
    try:
        text = "\r\n".join([f"{request.method} {target} HTTP/1.1", *lines, *fields, "", ""])
        return text.encode("latin-1")
    except UnicodeEncodeError:
        raise InvalidHeader("a header holds a character that HTTP cannot carry") from None


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


def _announced(headers: Mapping[str, str]) -> float:
    """For how long the server says it keeps the connection, less a second for the way."""
    if "keep-alive" not in headers:
        return LONGEST_IDLE
    found = _ANNOUNCED.search(headers["keep-alive"])
    return int(found[1]) - 1.0 if found else LONGEST_IDLE


class ConnectionPool:
    """Kept connections to one host that wait for their next request.

    A stack: the connection used last is used next, so no more are kept than are needed. Safe for
    many threads without a lock: each step is one atomic operation of a deque.
    """

    __slots__ = ("_closed", "_connections", "is_swept")

    def __init__(self) -> None:
        self._connections: deque[HttpConnection] = deque()
        self._closed = False
        self.is_swept = False
        """Whether the sweeper looks after it."""

    @property
    def is_empty(self) -> bool:
        """Whether no connection is kept."""
        return not self._connections

    def take(self) -> HttpConnection | None:
        """A connection that still stands, or None; closes those that do not."""
        while self._connections:
            try:
                connection = self._connections.pop()
            except IndexError:  # another thread was faster
                break
            if monotonic() < connection.good_until and connection.is_quiet():
                return connection
            connection.close()
        return None

    def keep(self, connection: HttpConnection, seconds: float = LONGEST_IDLE) -> None:
        """Put a connection back, good for `seconds`; it is closed soon after."""
        connection.good_until = monotonic() + min(seconds, LONGEST_IDLE)
        self._connections.append(connection)
        if self._closed:
            self.close()
        elif not self.is_swept:
            _SWEEPER.look_after(self)

    def close(self) -> None:
        """Close all, and from now on whatever is put back."""
        self._closed = True
        self.sweep(float("inf"))

    def sweep(self, now: float) -> None:
        """Close those whose time is over."""
        for _ in range(len(self._connections)):
            try:
                oldest = self._connections.popleft()
            except IndexError:
                return
            if oldest.good_until < now:
                oldest.close()
            else:
                self._connections.appendleft(oldest)
                return


class Sweeper:
    """Closes kept connections whose time is over, also of accounts that make no call any more.

    One thread for all pools, which ends when nothing is kept. Where the system gives none, the
    pool is left alone until it keeps its next connection: a call that was answered is answered.
    """

    def __init__(self, start: Callable[[Thread], None] = Thread.start) -> None:
        """`start` raises `RuntimeError` when the system gives no more threads."""
        self._start = start
        self._pools: list[ConnectionPool] = []
        self._lock = Lock()

    def look_after(self, pool: ConnectionPool) -> None:
        """Sweep a pool until it is empty."""
        with self._lock:
            if pool.is_swept:
                return
            if not self._pools:
                try:
                    self._start(Thread(target=self._run, name="sweep", daemon=True))
                except RuntimeError:
                    return
            pool.is_swept = True
            self._pools.append(pool)

    def _run(self) -> None:
        pause = Event()
        while True:
            pause.wait(SWEEP_EVERY)
            for pool in tuple(self._pools):
                pool.sweep(monotonic())
            with self._lock:
                for pool in self._pools:
                    # In this order: who keeps a connection now finds the mark gone, or is seen.
                    pool.is_swept = False
                    pool.is_swept = not pool.is_empty
                self._pools = [pool for pool in self._pools if pool.is_swept]
                if not self._pools:
                    return


_SWEEPER = Sweeper()
