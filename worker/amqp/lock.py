"""One command at a time: a lock that is an exclusive queue, and goes with its connection.

Whoever finds it taken asks its holder who that is, by a message to the lock itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast
from uuid import uuid4

from worker.amqp import codec as wire
from worker.core.message import Properties, Publication

if TYPE_CHECKING:
    from collections.abc import Callable

    from pika.channel import Channel
    from pika.connection import Connection
    from pika.spec import Basic, BasicProperties

    from worker.loop import Loop

LOCKED = 405
ANSWERS_WITHIN = 1.0
"""Seconds in which a holder that is alive says who it is."""
TRIES = 3
"""A holder that was killed keeps the lock for a moment, and does not answer."""
ANSWER_BYTES = 500


class Lock:
    """Taken for as long as the connection lasts; everything on the loop's thread."""

    def __init__(
        self,
        loop: Loop,
        connection: Connection,
        queue: str,
        *,
        who: str,
        held: Callable[[], None],
        taken: Callable[[str | None], None],
        failed: Callable[[str], None],
    ) -> None:
        """`who` is told to those who find it taken; `taken` gets what its holder says, if it does.

        `failed`: RabbitMQ will not have it, and why, in a sentence.
        """
        self._loop = loop
        self._connection = connection
        self._queue = queue
        self._who = who
        self._held = held
        self._taken = taken
        self._failed = failed
        self._tries = 0

    def take(self) -> None:
        """Try to take it; `held`, `taken` or `failed` is called once."""
        if not self._connection.is_open:
            return
        self._tries += 1

        def opened(channel: Channel) -> None:
            channel.add_on_close_callback(self._refused)
            channel.queue_declare(
                self._queue, exclusive=True, callback=lambda _: self._keep(channel)
            )

        self._connection.channel(on_open_callback=opened)

    def _keep(self, channel: Channel) -> None:
        channel.basic_consume(
            self._queue, self._asked, auto_ack=True, callback=lambda _: self._held()
        )

    def _asked(
        self, channel: Channel, _: Basic.Deliver, properties: BasicProperties, __: bytes
    ) -> None:
        """Say who holds it. An asker that is gone is no harm: the answer then goes nowhere."""
        address = cast("wire.WireProperties", properties).core.reply_to
        if address:
            wire.publish(channel, Publication("", address, self._who.encode(), Properties()))

    def _refused(self, _: Channel, error: Exception) -> None:
        if not self._connection.is_open:
            return
        if getattr(error, "reply_code", None) != LOCKED:
            self._failed(f"RabbitMQ says: {getattr(error, 'reply_text', None) or error}")
            return
        self._connection.channel(on_open_callback=self._ask)

    def _ask(self, channel: Channel) -> None:
        """Ask the holder who it is, and wait a little for the answer."""
        mine = f"{self._queue}.{uuid4().hex}"
        answered = False

        def heard(_: object, __: object, ___: object, body: bytes) -> None:
            nonlocal answered
            if not answered:
                answered = True
                self._taken(body[:ANSWER_BYTES].decode(errors="replace"))

        def ask(_: object) -> None:
            question = Properties(reply_to=mine)
            wire.publish(channel, Publication("", self._queue, b"who?", question))
            self._loop.call_later(ANSWERS_WITHIN, late)

        def late() -> None:
            if answered:
                return
            if channel.is_open:
                channel.close()
            if self._tries < TRIES:
                self.take()
            else:
                self._taken(None)

        channel.queue_declare(
            mine,
            exclusive=True,
            auto_delete=True,
            callback=lambda _: channel.basic_consume(mine, heard, auto_ack=True, callback=ask),
        )
