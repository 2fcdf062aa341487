"""Events to `reply_to` addresses: best effort, on a connection of their own.

A reply to an address that does not exist any more can make RabbitMQ close the whole connection
(541 for `amq.rabbitmq.reply-to.…`), so nothing else may depend on this one.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import structlog

from worker.amqp import wire

if TYPE_CHECKING:
    from pika.channel import Channel
    from pika.connection import Connection

    from worker.amqp.link import Link
    from worker.core.delivery import Publication

log = structlog.get_logger()

WAITING_AT_MOST = 1000


class ReplyPublisher:
    """Publishes what it can; what was on its way when the connection went is not repeated."""

    def __init__(self) -> None:
        self.dropped = 0
        self._link: Link | None = None
        self._asked = False
        self._channel: Channel | None = None
        self._waiting: deque[Publication] = deque(maxlen=WAITING_AT_MOST)

    def use(self, link: Link) -> None:
        """Publish over `link`, which is opened when the first reply is to be sent."""
        self._link = link

    def publish(self, publication: Publication) -> None:
        """Publish soon, or not at all."""
        self.dropped += len(self._waiting) == WAITING_AT_MOST
        self._waiting.append(publication)
        if self._link is not None and not self._asked:
            self._asked = True
            self._link.open()
        self._flush()

    def start(self, connection: Connection) -> None:
        """Open a channel on a fresh connection."""
        connection.channel(on_open_callback=self._opened)

    def connection_lost(self) -> None:
        """Go without until the link is up again."""
        self._channel = None

    def _opened(self, channel: Channel) -> None:
        self._channel = channel
        channel.add_on_close_callback(self._closed)
        self._flush()

    def _closed(self, channel: Channel, _: Exception) -> None:
        if channel is self._channel:
            self._channel = None
        if channel.connection.is_open:
            channel.connection.channel(on_open_callback=self._opened)

    def _flush(self) -> None:
        channel = self._channel
        while self._waiting and channel is not None and channel.is_open:
            try:
                wire.publish(channel, self._waiting.popleft())
            except Exception:  # only the reply may be lost
                self.dropped += 1
                log.exception("reply_not_publishable")
