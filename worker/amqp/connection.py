"""RabbitMQ's addresses: AMQP URLs made into pika's parameters.

One connection to RabbitMQ, kept up: over several addresses, with backoff and jitter.
"""

from __future__ import annotations

import socket
import ssl
from random import random
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit, urlunsplit

import structlog
from pika import SSLOptions, URLParameters
from pika.adapters.asyncio_connection import AsyncioConnection
from pika.exceptions import AMQPError

from worker.amqp.transport import BatchingServices

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import timedelta

    from pika.connection import Connection, Parameters

    from worker.amqp.loop import PikaLoop


def parameters(url: str, *, name: str, version: str, heartbeat: timedelta) -> Parameters:
    """Parameters of pika for one ``amqp://`` or ``amqps://`` URL.

    TLS verifies the server's name and authority; ``?cacertfile=…&certfile=…&keyfile=…`` name
    other files than the system's. Raises `ValueError` or `OSError` for a URL or file that is
    no good.
    """
    parts = urlsplit(url)
    query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    found = URLParameters(urlunsplit(parts._replace(query="")))
    if parts.scheme == "amqps":
        server = query.get("server_name_indication") or parts.hostname or ""
        found.ssl_options = SSLOptions(_context(query), server)
    seconds = heartbeat.total_seconds()
    found.heartbeat = max(1, round(seconds))
    found.connection_attempts = 1
    found.socket_timeout = found.stack_timeout = max(2.0, 2 * seconds)
    found.blocked_connection_timeout = None
    found.client_properties = {
        "connection_name": name,
        "product": "task-edit-worker",
        "version": version,
    }
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        found.tcp_options = {"TCP_USER_TIMEOUT": round(2000 * seconds)}
    return found


def shown(url: str) -> str:
    """The URL for logs and people: host, port and virtual host, without user and password."""
    parts = urlsplit(url)
    port = parts.port or (5671 if parts.scheme == "amqps" else 5672)
    return f"{parts.scheme}://{parts.hostname}:{port}{parts.path}"


def _context(query: dict[str, str]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=query.get("cacertfile"))
    if "certfile" in query:
        context.load_cert_chain(query["certfile"], query.get("keyfile"))
    return context


log = structlog.get_logger()

SHORTEST_WAIT = 0.2
LONGEST_WAIT = 10.0
PROVED_AFTER = 3.0
"""Seconds that a connection has to last to count as a good one: one that ends sooner, again and
again, is opened as seldom as one that cannot be opened."""
TROUBLE = (AMQPError, OSError, ValueError)
"""What opening a connection may raise by itself: a bad URL, a certificate that cannot be read."""


class KeptConnection:
    """Connects, tells when it is up and when down, and connects again.

    Everything happens on the loop's thread. `up` and `down` are called in turn, `down` with one
    sentence that says why; `changed` whenever RabbitMQ blocks or unblocks the connection.
    """

    def __init__(  # noqa: PLR0913 (where to, who asks, and whom to tell)
        self,
        loop: PikaLoop,
        urls: Sequence[str],
        name: str,
        *,
        version: str,
        heartbeat: timedelta,
        up: Callable[[Connection], None],
        down: Callable[[str], None],
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self.connection: AsyncioConnection | None = None
        """The open connection, or None."""
        self.blocked: str | None = None
        """Why RabbitMQ takes no publications at the moment; None when it does."""
        self.trouble: str | None = "not connected yet"
        """Why there is no connection; None when there is one."""
        self.reconnects = 0
        self.services = BatchingServices(loop, self._gave_up)
        self._loop = loop
        self._urls = tuple(urls)
        self._next_url = 0
        self._version = version
        self._heartbeat = heartbeat
        self._up = up
        self._down = down
        self._changed = changed
        self._failures = 0
        self._opened_at = 0.0
        self._timer: object | None = None
        self._attempt: AsyncioConnection | None = None
        self._ended: Callable[[], None] | None = None
        self._told: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a connection that takes what is written."""
        return self.connection is not None and self.connection.is_open

    @property
    def server(self) -> dict[str, object]:
        """What the broker says it is: product, version, cluster name."""
        properties = self.connection.server_properties if self.connection else None
        return dict(properties or {})

    def open(self) -> None:
        """Connect, and keep connecting; returns at once."""
        self._timer = None
        if self._ended is not None or self._attempt is not None or self.connection is not None:
            return
        url = self._urls[self._next_url % len(self._urls)]
        name = f"task-edit-worker {self.name}"
        try:
            self._attempt = AsyncioConnection(
                parameters(url, name=name, version=self._version, heartbeat=self._heartbeat),
                on_open_callback=self._opened,
                on_open_error_callback=lambda _, error: self._failed(url, error),
                on_close_callback=lambda _, error: self._closed(url, error),
                custom_ioloop=self.services,
            )
        except TROUBLE as error:
            self._failed(url, error)

    def use(self, urls: Sequence[str]) -> None:
        """Connect to these addresses from the next time on; an open connection stays."""
        self._urls = tuple(urls)

    def close(self, ended: Callable[[], None]) -> None:
        """Close for good; `ended` is called once it is closed, at once if it was not open."""
        self._ended = ended
        if self._timer is not None:
            self._loop.cancel(self._timer)
            self._timer = None
        if self.connection is not None and self.connection.is_open:
            self.connection.close()
        elif self.connection is None:
            ended()

    def _opened(self, connection: AsyncioConnection) -> None:
        self._attempt = None
        if self._ended is not None:
            connection.close()
            return
        self.connection = connection
        self.trouble = self.blocked = self._told = None
        self._opened_at = self._loop.now()
        connection.add_on_connection_blocked_callback(self._blocked)
        connection.add_on_connection_unblocked_callback(self._unblocked)
        url = self._urls[self._next_url % len(self._urls)]
        log.info("connected", link=self.name, address=shown(url))
        self._up(connection)

    def _failed(self, url: str, error: BaseException) -> None:
        self._attempt = None
        self._next_url += 1
        self._failures += 1
        self.trouble = f"cannot connect to {shown(url)}: {reason(error)}"
        if self._told != self.trouble and len(self._urls) > self._failures - 1:
            self._told = self.trouble
            log.warning("cannot_connect", link=self.name, address=shown(url), why=reason(error))
        if self._ended is None:
            self._again()

    def _gave_up(self, error: OSError) -> None:
        """Pika stopped in the middle of opening a connection, without another word."""
        if self._attempt is None:
            raise error
        self._failed(self._urls[self._next_url % len(self._urls)], error)

    def _closed(self, url: str, error: BaseException) -> None:
        self.connection = None
        self.blocked = None
        self.trouble = f"lost the connection to {shown(url)}: {reason(error)}"
        self._next_url += 1
        proved = self._loop.now() - self._opened_at >= PROVED_AFTER
        self._failures = 0 if proved else self._failures + 1
        if self._ended is None:
            self.reconnects += 1
            log.warning("connection_lost", link=self.name, address=shown(url), why=reason(error))
        self._down(self.trouble)
        if self._ended is None:
            self._again()
        else:
            self._ended()

    def _again(self) -> None:
        """Try the next address: at once while any is untried, else after a growing wait."""
        rounds = self._failures // len(self._urls)
        longest = min(LONGEST_WAIT, SHORTEST_WAIT * 2 ** min(rounds, 10))
        wait = longest * (0.5 + random() / 2) if rounds else SHORTEST_WAIT * random()  # noqa: S311
        self._timer = self._loop.call_later(wait, self.open)

    def _blocked(self, _: object, frame: object) -> None:
        method = getattr(frame, "method", None)
        self.blocked = str(getattr(method, "reason", "")) or "no reason given"
        log.warning("connection_blocked", link=self.name, why=self.blocked)
        self._changed()

    def _unblocked(self, _: object, __: object) -> None:
        self.blocked = None
        log.info("connection_unblocked", link=self.name)
        self._changed()


def reason(error: BaseException) -> str:
    """One line that says what went wrong, from pika's nested exceptions, without credentials.

    What pika's "connection workflow" failed for comes as an argument of the failure.
    """
    while error.args and isinstance(error.args[0], BaseException):
        error = error.args[0]
    while getattr(error, "exceptions", None):
        error = error.exceptions[-1]  # type: ignore[attr-defined]
    inner = getattr(error, "exception", None)
    if isinstance(inner, BaseException):
        return reason(inner)
    text = getattr(error, "reply_text", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())[:300]
