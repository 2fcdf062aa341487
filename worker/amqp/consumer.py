"""A queue kept consumed: declared, subscribed, and again after whatever ended it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from pika.exceptions import NoFreeChannels

from worker.amqp.subscription import Subscription
from worker.amqp.topology import declare, refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from pika.channel import Channel
    from pika.connection import Connection

    from worker.amqp.loop import PikaLoop
    from worker.amqp.topology import Object
    from worker.core.message import Delivery, Source

log = structlog.get_logger()

AT_ONCE = 0.05
SHORTEST_WAIT = 0.5
LONGEST_WAIT = 15.0
SPARE_CHANNELS = 2
"""Of a connection that allows few, those that no queue may keep: to declare and to read the journal
takes one each, for a moment. pika gives out the lowest numbers first."""


class Consumer:
    """Keeps one queue consumed while there is a connection and nobody has called `end`."""

    def __init__(
        self,
        loop: PikaLoop,
        queue: str,
        objects: tuple[Object, ...],
        *,
        passive: bool,
        deliver: Callable[[Delivery, Source], None],
        lost: Callable[[], None],
        when_sent: Callable[[Callable[[], None]], None],
    ) -> None:
        """`objects` are declared before each subscription, or with `passive` only looked for.

        `when_sent` calls back once what was written on the connection has left the process.
        """
        self.queue = queue
        self.objects = objects
        self.trouble: str | None = "not subscribed yet"
        """Why the queue is not consumed; None when it is (as a stand-by too)."""
        self.declared = False
        """Whether the broker has `objects` as they are now, as far as declaring them tells."""
        self._loop = loop
        self._passive = passive
        self._deliver = deliver
        self._lost = lost
        self._when_sent = when_sent
        self._connection: Connection | None = None
        self._subscription: Subscription | None = None
        self._opening = False
        self._doing: Object | None = None
        self._failures = 0
        self._ended: Callable[[], None] | None = None
        self._timer: object | None = None
        self._held = False

    def start(self, connection: Connection) -> None:
        """Subscribe on a fresh connection."""
        self._connection = connection
        self._failures = 0
        if self._held:
            self.trouble = None
        self._subscribe()

    def refresh(self, connection: Connection) -> None:
        """Declare `objects` anew, for they have changed; subscribe if that is still to be done."""
        self.declared = False
        if self._subscription is None:
            self.start(connection)
            return

        objects = self.objects

        def done(channel: Channel) -> None:
            self.declared = objects is self.objects
            channel.close()

        def opened(channel: Channel) -> None:
            declare(channel, objects, passive=self._passive, done=lambda: done(channel))

        try:
            connection.channel(on_open_callback=opened)
        except NoFreeChannels:
            self._loop.call_later(SHORTEST_WAIT, lambda: self._refresh_again(connection))

    def _refresh_again(self, connection: Connection) -> None:
        if connection is self._connection:
            self.refresh(connection)

    def connection_lost(self) -> None:
        """The connection is gone; its channels have told us already."""
        self._connection = None
        self._opening = False
        self.trouble = "no connection to RabbitMQ"

    def hold(self, *, give_back: bool) -> None:
        """Do not subscribe until `release`; with `give_back`, end the subscription now.

        Without, whoever works on what was delivered gives it back when that is done.
        """
        self._held = True
        if self._connection is not None and self._subscription is None:
            self.trouble = None
        if give_back and self._subscription is not None:
            self._subscription.give_back()

    def release(self) -> None:
        """Subscribe again."""
        if self._held:
            self._held = False
            self._failures = 0
            self._again()

    def end(self, ended: Callable[[], None]) -> None:
        """Give everything unacked back, in order, and consume no more."""
        self._ended = ended
        if self._timer is not None:
            self._loop.cancel(self._timer)
            self._timer = None
        if self._subscription is not None:
            self._subscription.give_back()
        else:
            self._finish()

    def _subscribe(self) -> None:
        self._timer = None
        connection = self._connection
        idle = self._subscription is None and not (self._opening or self._held or self._ended)
        if connection is None or not connection.is_open or not idle:
            return
        try:
            connection.channel(on_open_callback=self._declare)
        except NoFreeChannels:
            self._surplus(connection)
            self._loop.call_later(0, self._again)
        else:
            self._opening = True

    def _surplus(self, connection: Connection) -> None:
        """The connection has no channel for this queue: told, while the others are served."""
        why = (
            f"RabbitMQ allows a connection {connection.params.channel_max} channels, which is too"
            " few for all accounts: raise its channel_max"
        )
        if self.trouble != why:
            log.error("no_channel_left", queue=self.queue, why=why)
        self.trouble = why

    def _declare(self, channel: Channel) -> None:
        channel.add_on_close_callback(self._closed)
        objects = self.objects
        declare(
            channel,
            objects,
            passive=self._passive,
            done=lambda: self._consume(channel, objects),
            doing=self._note,
        )

    def _note(self, item: Object) -> None:
        self._doing = item

    def _consume(self, channel: Channel, objects: tuple[Object, ...]) -> None:
        self._doing, self.declared = None, objects is self.objects
        allowed = channel.connection.params.channel_max
        if allowed and channel.channel_number > allowed - SPARE_CHANNELS:
            self._surplus(channel.connection)  # declared all the same: what is for it waits there
            channel.close()
            return
        self._subscription = Subscription(
            channel,
            self.queue,
            deliver=self._deliver,
            lost=self._gone,
            begun=self._begun,
            soon=self._loop.soon,
            when_sent=self._when_sent,
        )

    def _begun(self) -> None:
        if self.trouble is not None:
            log.info("subscribed", queue=self.queue)
        self.trouble = None
        self._failures = 0
        if not self.declared and self._connection is not None:
            self.refresh(self._connection)  # they changed while they were being declared

    def _gone(self, why: str) -> None:
        self._subscription = None
        self.trouble = None if self._held else f"the channel is closed: {why}"
        self._lost()

    def _closed(self, _: object, error: Exception) -> None:
        """Whatever the channel was doing, it is over; runs before or after `_gone`."""
        self._opening = False
        if self._doing is not None:
            text = str(getattr(error, "reply_text", "") or error)
            self.trouble = refused(self._doing, getattr(error, "reply_code", None), text)
            log.error("declaration_refused", queue=self.queue, why=self.trouble)
            self._doing = None
            self._failures += 1
        if self._ended is not None:
            self._finish()
        elif self._connection is not None:
            self._loop.call_later(0, self._again)

    def _finish(self) -> None:
        """Say once that it is over."""
        ended, self._ended = self._ended, _already
        if ended is not None:
            ended()

    def _again(self) -> None:
        if self._timer or self._subscription or self._ended or self._held:
            return
        wait = min(LONGEST_WAIT, SHORTEST_WAIT * 2**self._failures) if self._failures else AT_ONCE
        self._failures = min(self._failures + 1, 10)
        self._timer = self._loop.call_later(wait, self._subscribe)


def _already() -> None:
    """What is called when it was over before."""
