"""A connection to the API's host, straight or through a proxy, with TLS verified, in time."""

from __future__ import annotations

import select
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import certifi
from requests.exceptions import ReadTimeout, RequestException
from requests.utils import get_auth_from_url
from urllib3.util import create_urllib3_context, make_headers

from worker.api.errors import (
    ShortageError,
    late_connect,
    no_address,
    no_connect,
    no_tls,
    raise_if_short,
)
from worker.api.http1 import NOT_YET, HttpConnection, wanted

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

BAD_URL = "the API's URL must begin with https:// or http:// and name a host"


@dataclass(frozen=True, slots=True)
class HostPort:
    """Where a connection goes: what is before the path of a URL."""

    secure: bool
    host: str
    """A name or an IP address, without brackets."""
    port: int

    @classmethod
    def of(cls, url: str) -> HostPort:
        """The origin of an http or https URL; `ValueError` for any other."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(BAD_URL)
        secure = parts.scheme == "https"
        return cls(secure, parts.hostname, parts.port or (443 if secure else 80))

    @property
    def place(self) -> str:
        """``host:port``, for people."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Route:
    """The way to a host: straight, or through an HTTP proxy."""

    target: HostPort
    proxy: HostPort | None = None
    authorization: str | None = field(default=None, repr=False)
    """The proxy's ``Proxy-Authorization``, if it wants one."""

    @classmethod
    def of(cls, url: str, proxy: str | None = None) -> Route:
        """The way to a URL; `proxy` is a URL, perhaps with user and password.

        `ValueError`, without showing any of it, for a URL that cannot be used.
        """
        if proxy is None:
            return cls(HostPort.of(url))
        try:
            hop = HostPort.of(proxy)
        except ValueError:
            raise ValueError("the proxy must be given as http://host:port") from None
        user, password = get_auth_from_url(proxy)
        authorization = None
        if user:
            made = make_headers(proxy_basic_auth=f"{user}:{password}")
            authorization = made["proxy-authorization"]
        return cls(HostPort.of(url), hop, authorization)

    @property
    def place(self) -> str:
        """Where it leads and by what way, for people."""
        place = self.target.place
        return place if self.proxy is None else f"{place} through the proxy {self.proxy.place}"

    @property
    def host_header(self) -> str:
        """The `Host` header: the port only if it is not the scheme's own (RFC 9110, 7.2)."""
        host = f"[{self.target.host}]" if ":" in self.target.host else self.target.host
        usual = 443 if self.target.secure else 80
        return host if self.target.port == usual else f"{host}:{self.target.port}"

    @property
    def is_tunnel(self) -> bool:
        """Whether the proxy passes bytes on unseen; it reads and forwards plain requests."""
        return self.proxy is not None and self.target.secure

    @property
    def proxy_header(self) -> tuple[str, ...]:
        """The header line that the proxy wants, if any."""
        if self.authorization is None:
            return ()
        return (f"Proxy-Authorization: {self.authorization}",)


@lru_cache(maxsize=16)
def trust(ca_file: str | None) -> ssl.SSLContext:
    """TLS settings (urllib3's) that verify certificate and host name by `ca_file`, or certifi.

    Made once and shared by all accounts: reading the authorities takes some 20 ms and a megabyte.
    So nothing may change it afterwards: urllib3's own `ssl_wrap_socket` sets ALPN on every use,
    which OpenSSL does not allow while another thread connects. `OSError` if the file cannot be
    read or holds no certificate.
    """
    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
    context.load_verify_locations(cafile=ca_file or certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt to connect, and the time that it may take."""

    place: str
    seconds: float
    deadline: float

    def left(self) -> float:
        """Seconds left; raises `ConnectTimeout` when there are none."""
        left = self.deadline - monotonic()
        if left <= 0:
            raise late_connect(self.place, self.seconds)
        return left


def connect(route: Route, ca_file: str | None, seconds: float) -> socket.socket | TlsInTls:
    """A new connection by `route`, non-blocking, certificates verified where there is TLS.

    `seconds` are for all of it: name, addresses in turn, proxy, handshake. Raises an exception of
    requests else.
    """
    attempt = Attempt(route.place, seconds, monotonic() + seconds)
    hop = route.proxy or route.target
    sock: socket.socket | TlsInTls = _dialled(hop, attempt)
    try:
        if hop.secure:
            sock = _secured(sock, hop, ca_file, attempt)
        if route.is_tunnel:
            _tunnel(sock, route, attempt)
            sock = _secured(sock, route.target, ca_file, attempt)
        if isinstance(sock, socket.socket):
            sock.settimeout(0)
    except BaseException:
        sock.close()
        raise
    return sock


def _dialled(hop: HostPort, attempt: Attempt) -> socket.socket:
    return first_that_accepts(_addresses(hop, attempt), hop.port, attempt)


def first_that_accepts(addresses: list[str], port: int, attempt: Attempt) -> socket.socket:
    """A TCP connection to the first of the addresses that takes it.

    One that stays silent leaves the others their share of the time.
    """
    for more, address in zip(reversed(range(len(addresses))), addresses, strict=True):
        try:
            sock = socket.create_connection((address, port), attempt.left() / (more + 1))
        except TimeoutError:
            if not more:
                raise late_connect(attempt.place, attempt.seconds) from None
        except OSError as error:
            raise_if_short(error)
            if not more:
                raise no_connect(attempt.place, error) from None
        else:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
    raise AssertionError("a name that resolves has an address")


def _tunnel(sock: socket.socket | TlsInTls, route: Route, attempt: Attempt) -> None:
    """Have the proxy pass on what follows (CONNECT, RFC 9110, 9.3.6)."""
    host = f"[{route.target.host}]" if ":" in route.target.host else route.target.host
    place = f"{host}:{route.target.port}"
    lines = [f"CONNECT {place} HTTP/1.1", f"Host: {place}", *route.proxy_header, "", ""]
    assert isinstance(sock, socket.socket)  # noqa: S101  (to the proxy: never within a tunnel)
    sock.settimeout(0)
    request = "\r\n".join(lines).encode("latin-1")
    try:
        reply = HttpConnection(sock).exchange(request, attempt.left(), headless=True)
    except ReadTimeout:
        raise late_connect(attempt.place, attempt.seconds) from None
    except RequestException:
        raise no_connect(attempt.place, "the proxy does not answer in HTTP") from None
    if not 200 <= reply.code < 300:  # noqa: PLR2004  (the classes of RFC 9110, section 15)
        words = "".join(char if char.isprintable() else " " for char in reply.phrase)[:60]
        raise no_connect(attempt.place, f"Tunnel connection failed: {reply.code} {words}".strip())


def _secured(
    sock: socket.socket | TlsInTls, peer: HostPort, ca_file: str | None, attempt: Attempt
) -> socket.socket | TlsInTls:
    """The same connection after the handshake."""
    context = trust(ca_file)
    try:
        if isinstance(sock, ssl.SSLSocket):
            inner = TlsInTls(sock, context, peer.host)
            inner.handshake(attempt.left)
            return inner
        assert isinstance(sock, socket.socket)  # noqa: S101  (TLS is at most two deep)
        sock.settimeout(attempt.left())
        return context.wrap_socket(sock, server_hostname=peer.host)
    except RequestException:  # which is an OSError too
        raise
    except TimeoutError:
        raise late_connect(attempt.place, attempt.seconds) from None
    except ssl.SSLError as error:
        raise no_tls(attempt.place, error) from None
    except OSError as error:
        raise no_connect(attempt.place, error) from None


class TlsInTls:
    """TLS to the API within the TLS of an https proxy, as a non-blocking socket.

    Python's `SSLContext.wrap_socket` wraps plain sockets only.
    """

    def __init__(self, outer: ssl.SSLSocket, context: ssl.SSLContext, host: str) -> None:
        self._outer = outer
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._unsent = b""

    def handshake(self, left: Callable[[], float]) -> None:
        """Shake hands; `left` gives the seconds that remain, or raises."""
        poll = select.poll()
        while True:
            try:
                self._step(self._tls.do_handshake)
                self._flush()
            except NOT_YET as error:
                poll.register(self._outer, wanted(error, select.POLLIN))
                poll.poll(left() * 1000)
            else:
                return

    def fileno(self) -> int:
        """The descriptor below."""
        return self._outer.fileno()

    def send(self, data: bytes | memoryview, /) -> int:
        """Take `data`; what the outer connection cannot take now goes before anything else."""
        sent = self._step(lambda: self._tls.write(data))
        with suppress(*NOT_YET):
            self._flush()
        return sent

    def recv(self, size: int, /) -> bytes:
        """All that has come, for a poll of the descriptor does not see what is decrypted."""
        data = self._step(lambda: self._tls.read(size))
        with suppress(ssl.SSLWantReadError):
            while data and (more := self._tls.read(size)):
                data += more
        return data

    def getpeercert(self) -> dict[str, object] | None:
        """The certificate of the inner peer."""
        return self._tls.getpeercert()  # type: ignore[return-value]

    def close(self) -> None:
        """Close the connection below."""
        self._outer.close()

    def _step(self, act: Callable[[], T]) -> T:
        while True:
            self._flush()
            try:
                return act()
            except ssl.SSLWantReadError:
                self._flush()
                if data := self._outer.recv(16 * 1024):
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()

    def _flush(self) -> None:
        self._unsent += self._outgoing.read()
        while self._unsent:
            self._unsent = self._unsent[self._outer.send(self._unsent) :]


def _addresses(origin: HostPort, attempt: Attempt) -> list[str]:
    """The host's addresses, in the system's order of preference.

    The system's resolver cannot be told a deadline (with a dead name server it takes half a
    minute), so it works in a thread that is left behind when time is up.
    """
    found: SimpleQueue[list[str] | OSError | UnicodeError] = SimpleQueue()

    def resolve() -> None:
        try:
            infos = socket.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
            found.put(list(dict.fromkeys(str(info[4][0]) for info in infos)))
        except (OSError, UnicodeError) as error:
            found.put(error)

    try:
        Thread(target=resolve, name=f"resolve-{origin.host}", daemon=True).start()
    except RuntimeError as refused:
        raise ShortageError(str(refused)) from None
    try:
        result = found.get(timeout=attempt.left())
    except Empty:
        raise late_connect(attempt.place, attempt.seconds) from None
    if not isinstance(result, list):
        raise_if_short(result)
        raise no_address(origin.host, result) from None
    return result
