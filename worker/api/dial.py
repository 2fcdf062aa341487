"""A connection to the API's host, with TLS verified, within a deadline."""

from __future__ import annotations

import socket
import ssl
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from urllib.parse import urlsplit

import certifi
from urllib3.connection import HTTPConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError
from urllib3.util import create_urllib3_context

from worker.api.broken import (
    BrokenCallError,
    late_connect,
    no_address,
    no_connect,
    no_tls,
)
from worker.api.head import BAD_URL


@dataclass(frozen=True, slots=True)
class Origin:
    """Where connections go: what is before the path of a URL."""

    secure: bool
    host: str
    """A name or an IP address, without brackets."""
    port: int

    @classmethod
    def of(cls, url: str) -> Origin:
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


def dial(origin: Origin, ca_file: str | None, seconds: float) -> socket.socket:
    """A new connection to `origin`, non-blocking, its certificate verified if it is secure.

    `seconds` are for all of it: name, addresses in turn, handshake. `BrokenCallError` else.
    """
    deadline = monotonic() + seconds
    addresses = _addresses(origin, seconds, deadline)
    with ExitStack() as unless_done:
        sock = connect(origin, addresses, seconds, deadline)
        unless_done.callback(sock.close)
        if origin.secure:
            sock.settimeout(_left(origin, seconds, deadline))
            sock = _secured(sock, origin, ca_file, seconds)
        sock.settimeout(0)
        unless_done.pop_all()
    return sock


def _secured(
    sock: socket.socket, origin: Origin, ca_file: str | None, seconds: float
) -> ssl.SSLSocket:
    """The same connection after the handshake, which has the socket's own timeout."""
    try:
        return trust(ca_file).wrap_socket(sock, server_hostname=origin.host)
    except TimeoutError:
        raise late_connect(origin.place, seconds) from None
    except ssl.SSLError as error:
        raise no_tls(origin.place, error) from None
    except OSError as error:
        raise no_connect(origin.place, error) from None


def connect(origin: Origin, addresses: list[str], seconds: float, deadline: float) -> socket.socket:
    """A TCP connection to the first of the addresses that takes it, until `deadline`.

    urllib3 gives the whole timeout to each address; here one that stays silent leaves the others
    their share. `seconds` is what was allowed, for the words of the `BrokenCallError`.
    """
    for more, address in zip(reversed(range(len(addresses))), addresses, strict=True):
        share = _left(origin, seconds, deadline) / (more + 1)
        connection = HTTPConnection(address, origin.port, timeout=share)
        try:
            connection.connect()
        except (NewConnectionError, ConnectTimeoutError) as error:
            if not more:
                raise _cause(origin, seconds, error) from None
        else:
            return connection.sock
    raise AssertionError("a name that resolves has an address")


def _cause(origin: Origin, seconds: float, error: Exception) -> BrokenCallError:
    cause = error.__cause__
    if isinstance(cause, OSError) and not isinstance(cause, TimeoutError):
        return no_connect(origin.place, cause)
    return late_connect(origin.place, seconds)


def _addresses(origin: Origin, seconds: float, deadline: float) -> list[str]:
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

    Thread(target=resolve, name=f"resolve-{origin.host}", daemon=True).start()
    try:
        result = found.get(timeout=_left(origin, seconds, deadline))
    except Empty:
        raise late_connect(origin.place, seconds) from None
    if not isinstance(result, list):
        raise no_address(origin.host, result) from None
    return result


def _left(origin: Origin, seconds: float, deadline: float) -> float:
    left = deadline - monotonic()
    if left <= 0:
        raise late_connect(origin.place, seconds)
    return left
