"""A connection for as long as a command lasts: where `Link` would come back, this one gives up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pika.adapters.asyncio_connection import AsyncioConnection

from worker.amqp import codec as wire
from worker.amqp.connection import TROUBLE, parameters, reason, shown
from worker.amqp.transport import BatchingServices

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import timedelta

    from worker.loop import Loop

CLOSE_WITHIN = 1.0


class Visit:
    """Tries each address once; tells when it is up, or why it ended. All on the loop's thread."""

    def __init__(
        self,
        loop: Loop,
        urls: Sequence[str],
        *,
        version: str,
        heartbeat: timedelta,
        up: Callable[[AsyncioConnection], None],
        lost: Callable[[str], None],
    ) -> None:
        """`lost` gets one sentence: why there is no connection, or none any more."""
        wire.install()
        self.blocked: str | None = None
        """Why RabbitMQ takes no publications at the moment; None when it does."""
        self._loop = loop
        self._urls = list(urls)
        self._version = version
        self._heartbeat = heartbeat
        self._up = up
        self._lost = lost
        self._connection: AsyncioConnection | None = None
        self._left: Callable[[], None] | None = None

    def open(self) -> None:
        """Connect to the first address that can be reached; returns at once."""
        url = self._urls.pop(0)
        try:
            self._connection = AsyncioConnection(
                parameters(url, name="taskedit", version=self._version, heartbeat=self._heartbeat),
                on_open_callback=self._opened,
                on_open_error_callback=lambda _, error: self._failed(url, error),
                on_close_callback=lambda _, error: self._closed(url, error),
                custom_ioloop=BatchingServices(self._loop),
            )
        except TROUBLE as error:
            self._failed(url, error)

    def close(self, left: Callable[[], None]) -> None:
        """Leave; `left` is called soon, and `lost` not any more."""
        self._left = left
        if self._connection is not None and self._connection.is_open:
            self._connection.close()
            self._loop.call_later(CLOSE_WITHIN, left)
        else:
            left()

    def _opened(self, connection: AsyncioConnection) -> None:
        connection.add_on_connection_blocked_callback(self._block)
        connection.add_on_connection_unblocked_callback(self._unblock)
        self._up(connection)

    def _failed(self, url: str, error: BaseException) -> None:
        if self._left is not None:
            return
        if self._urls:
            self._loop.post(self.open)
        else:
            self._lost(f"cannot connect to {shown(url)}: {reason(error)}")

    def _closed(self, url: str, error: BaseException) -> None:
        if self._left is not None:
            self._left()
        else:
            self._lost(f"lost the connection to {shown(url)}: {reason(error)}")

    def _block(self, _: object, frame: object) -> None:
        method = getattr(frame, "method", None)
        self.blocked = str(getattr(method, "reason", "")) or "no reason given"

    def _unblock(self, _: object, __: object) -> None:
        self.blocked = None
