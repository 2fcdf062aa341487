"""A connection to RabbitMQ, kept up over several addresses, with backoff and jitter.

AMQP URLs are made into pika's parameters here.
"""

from __future__ import annotations

import socket
import ssl
from asyncio import TaskGroup, get_running_loop, shield, sleep, wait
from random import random
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit, urlunsplit

import structlog
from pika import SSLOptions, URLParameters
from pika.exceptions import AMQPError

from worker.amqp.frames import QuickConnection
from worker.amqp.transport import BatchingServices, GuardedServices

if TYPE_CHECKING:
    from asyncio import Future, Task
    from collections.abc import Callable, Coroutine, Sequence
    from datetime import timedelta

    from pika.adapters.asyncio_connection import AsyncioConnection
    from pika.connection import Connection, Parameters

    from worker.loop import Loop


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


class UnreachableError(Exception):
    """There is no connection; the message says why, without credentials."""


async def connect(
    services: GuardedServices, to: Parameters
) -> tuple[AsyncioConnection, Future[str]]:
    """An open connection, and what is done when it is closed, with why.

    Raises `UnreachableError`.
    """
    loop = get_running_loop()
    opened: Future[None] = loop.create_future()
    services.opening = opened
    closed: Future[str] = loop.create_future()

    def failed(_: object, error: BaseException) -> None:
        if not opened.done():
            opened.set_exception(UnreachableError(reason(error)))

    def ended(_: object, error: BaseException) -> None:
        if not closed.done():
            closed.set_result(reason(error))

    def up(_: object) -> None:
        if not opened.done():
            opened.set_result(None)

    connection = QuickConnection(
        to,
        on_open_callback=up,
        on_open_error_callback=failed,
        on_close_callback=ended,
        custom_ioloop=services,
    )
    await opened
    return connection, closed


class KeptConnection:
    """Connects, has the connection served for as long as it lasts, and connects again.

    Everything happens on the loop's thread.
    """

    def __init__(
        self,
        loop: Loop,
        urls: Sequence[str],
        name: str,
        *,
        version: str,
        heartbeat: timedelta,
        serve: Callable[[Connection], Coroutine[None, None, None]],
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """`serve` is cancelled when its connection is lost, and all that it began with it.

        `changed` is called whenever RabbitMQ blocks or unblocks the connection.
        """
        self.name = name
        self.connection: AsyncioConnection | None = None
        """The open connection, or None."""
        self.blocked: str | None = None
        """Why RabbitMQ takes no publications at the moment; None when it does."""
        self.trouble: str | None = "not connected yet"
        """Why there is no connection; None when there is one."""
        self.reconnects = 0
        self.services = BatchingServices(loop)
        self._loop = loop
        self._urls = tuple(urls)
        self._next_url = 0
        self._version = version
        self._heartbeat = heartbeat
        self._serve = serve
        self._changed = changed
        self._failures = 0
        self._is_ending = False
        self._keeping: Task[None] | None = None
        self._told: str | None = None

    def open(self) -> None:
        """Connect, and keep connecting; returns at once."""
        if self._keeping is None:
            self._keeping = self._loop.task(self._keep())

    def use(self, urls: Sequence[str]) -> None:
        """Connect to these addresses from the next time on; an open connection stays."""
        self._urls = tuple(urls)

    async def close(self) -> None:
        """Close for good."""
        self._is_ending = True
        if self._keeping is None:
            return
        if self.connection is None:  # waiting, or opening one that nobody wants any more
            self._keeping.cancel()
        elif self.connection.is_open:
            self.connection.close()
        await wait((self._keeping,))

    async def pause(self, seconds: float) -> None:
        """Wait so long before the next try."""
        await sleep(seconds)

    async def _keep(self) -> None:
        while not self._is_ending:
            url = self._urls[self._next_url % len(self._urls)]
            try:
                await self._connect_and_serve(url)
            except (UnreachableError, *TROUBLE) as error:
                self._failed(url, reason(error))
            self._next_url += 1
            if not self._is_ending:
                await self.pause(self._wait())

    async def _connect_and_serve(self, url: str) -> None:
        """Until the connection is lost."""
        name = f"task-edit-worker {self.name}"
        to = parameters(url, name=name, version=self._version, heartbeat=self._heartbeat)
        connection, closed = await connect(self.services, to)
        self.connection = connection
        self.trouble = self.blocked = self._told = None
        opened_at = self._loop.now()
        connection.add_on_connection_blocked_callback(self._blocked)
        connection.add_on_connection_unblocked_callback(self._unblocked)
        log.info("connected", link=self.name, address=shown(url))
        if self._is_ending:
            connection.close()
        try:
            async with TaskGroup() as tasks:
                serving = tasks.create_task(self._serve(connection))
                why = await shield(closed)
                self.connection = self.blocked = None
                self.trouble = f"lost the connection to {shown(url)}: {why}"
                if not self._is_ending:
                    self.reconnects += 1
                    log.warning("connection_lost", link=self.name, address=shown(url), why=why)
                serving.cancel()
        finally:
            proved = self._loop.now() - opened_at >= PROVED_AFTER
            self._failures = 0 if proved else self._failures + 1

    def _failed(self, url: str, why: str) -> None:
        self._failures += 1
        self.trouble = f"cannot connect to {shown(url)}: {why}"
        if self._told != self.trouble and len(self._urls) > self._failures - 1:
            self._told = self.trouble
            log.warning("cannot_connect", link=self.name, address=shown(url), why=why)

    def _wait(self) -> float:
        """Seconds to the next try: hardly any while an address is untried, else ever more."""
        rounds = self._failures // len(self._urls)
        longest = min(LONGEST_WAIT, SHORTEST_WAIT * 2 ** min(rounds, 10))
        return longest * (0.5 + random() / 2) if rounds else SHORTEST_WAIT * random()  # noqa: S311

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
