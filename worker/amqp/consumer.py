"""A queue kept consumed: declared, subscribed, and again after whatever ended it."""

from __future__ import annotations

from asyncio import Event, TaskGroup, shield, timeout
from contextlib import suppress
from random import random
from typing import TYPE_CHECKING

import structlog

from worker.amqp.session import (
    ChannelClosedError,
    NoChannelLeftError,
    channel_of,
    version_of,
)
from worker.amqp.subscription import Subscription
from worker.amqp.topology import refused
from worker.core.rendezvous import spreads

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from pika.connection import Connection

    from worker.amqp.session import Channel
    from worker.amqp.topology import Object
    from worker.loop import Loop

log = structlog.get_logger()

AT_ONCE = 0.05
SHORTEST_WAIT = 0.5
LONGEST_WAIT = 15.0
DECLARED_EVERY = 10.0
"""Seconds between declarations of a queue while it is held: nobody is told of its deletion then."""
SPARE_CHANNELS = 2
"""Of a connection that allows few, those that no queue may keep: to declare and to read the journal
takes one each, for a moment. pika gives out the lowest numbers first."""


class Consumer:
    """Keeps one queue consumed while there is a connection and nobody has called `end`."""

    def __init__(
        self,
        loop: Loop,
        queue: str,
        objects: tuple[Object, ...],
        *,
        passive: bool,
        work: Callable[[Subscription], Coroutine[None, None, None]],
        when_sent: Callable[[Callable[[], None]], None],
        priority: int = 0,
    ) -> None:
        """`objects` are declared before each subscription, or with `passive` only looked for.

        `work` takes the deliveries of a subscription; it is cancelled when its channel is closed.
        `when_sent` calls back once what was written on the connection has left the process.
        `priority`: see `Subscription`.
        """
        self.queue = queue
        self.objects = objects
        self.trouble: str | None = "not subscribed yet"
        """Why the queue is not consumed; None when it is (as a stand-by too)."""
        self.declared = False
        """Whether the broker has `objects` as they are now, as far as declaring them tells."""
        self._loop = loop
        self._passive = passive
        self._work = work
        self._when_sent = when_sent
        self._priority = priority
        self._subscription: Subscription | None = None
        self._held = False
        self._is_ending = False
        self._stirred = Event()
        """Set when what `run` is doing has to be looked at again."""
        self._idle = Event()
        self._idle.set()

    @property
    def has_unread(self) -> bool:
        """Whether there are deliveries that nobody has taken yet."""
        return self._subscription is not None and self._subscription.has_unread

    async def run(self, connection: Connection) -> None:
        """Consume for as long as the connection lasts, or until `end`; not while held."""
        failures = 0
        self._idle.clear()
        try:
            while connection.is_open and not self._is_ending:
                if self._held:
                    failures = 0
                    await self._stay_declared(connection)
                    await self._wait(DECLARED_EVERY)
                    continue
                wait = AT_ONCE
                try:
                    await self._consume(connection)
                    failures = 0
                except NoChannelLeftError:
                    # Those that are declared leave the spare channels to those that are not.
                    some_time = SHORTEST_WAIT * (0.5 + random())  # noqa: S311 (jitter)
                    wait = LONGEST_WAIT if self.declared else some_time
                except ChannelClosedError:
                    wait = min(LONGEST_WAIT, SHORTEST_WAIT * 2**failures)
                    failures = min(failures + 1, 10)
                await self._wait(wait)
        finally:
            self._idle.set()
            if not self._is_ending:
                self.trouble = "no connection to RabbitMQ"

    def refresh(self) -> None:
        """Declare `objects` anew, for they have changed or are gone."""
        self.declared = False
        self._stirred.set()

    def hold(self, *, give_back: bool) -> None:
        """Do not subscribe until `release`; with `give_back`, end the subscription now.

        Without, whoever works on what was delivered gives it back when that is done.
        """
        self._held = True
        self._stirred.set()
        if give_back and self._subscription is not None:
            self._subscription.give_back()

    def release(self) -> None:
        """Subscribe again, if it was held."""
        if self._held:
            self._held = False
            self._stirred.set()

    async def end(self) -> None:
        """Give everything unacked back, in order, and consume no more."""
        self._is_ending = True
        self._stirred.set()
        if self._subscription is not None:
            self._subscription.give_back()
        await self._idle.wait()

    async def _wait(self, seconds: float | None = None) -> None:
        """Wait so long, or until something has changed."""
        with suppress(TimeoutError):
            async with timeout(seconds):
                await self._stirred.wait()
        self._stirred.clear()

    async def _consume(self, connection: Connection) -> None:
        """Until the channel is closed; what was begun for it ends with it.

        Raises `ChannelClosedError` if it is closed before anything was consumed.
        """
        try:
            channel = await channel_of(connection)
        except NoChannelLeftError:
            self._surplus(connection)
            raise
        await self._declare(channel)
        allowed = connection.params.channel_max
        if allowed and channel.pika.channel_number > allowed - SPARE_CHANNELS:
            channel.close()  # declared all the same: what is for it waits there
            raise NoChannelLeftError(None, self._surplus(connection))
        priority = self._priority if spreads(version_of(connection)) else 0
        subscription = Subscription(self._loop, channel, self.queue, self._when_sent, priority)
        await subscription.begin()
        if self.trouble is not None:
            log.info("subscribed", queue=self.queue)
        self.trouble, self._subscription = None, subscription
        if self._is_ending or self._held:
            subscription.give_back()
        try:
            async with TaskGroup() as tasks:
                working = tasks.create_task(self._work(subscription))
                declaring = tasks.create_task(self._keep_declared(connection))
                closed = await shield(channel.closed)
                self.trouble = None if self._held else f"the channel is closed: {closed.text}"
                working.cancel()
                declaring.cancel()
        finally:
            self._subscription = None

    async def _stay_declared(self, connection: Connection) -> None:
        """Declare the objects while nobody consumes: what is published meanwhile waits there."""
        try:
            channel = await channel_of(connection)
            await self._declare(channel)
            channel.close()
        except NoChannelLeftError:
            self._surplus(connection)
        except ChannelClosedError:
            pass  # refused, which was told, or the connection is lost
        else:
            self.trouble = None

    def _surplus(self, connection: Connection) -> str:
        """The connection has no channel for this queue: told, while the others are served."""
        why = (
            f"RabbitMQ allows a connection {connection.params.channel_max} channels, which is too"
            " few for all accounts: raise its channel_max"
        )
        if self.trouble != why:
            log.error("no_channel_left", queue=self.queue, why=why)
        self.trouble = why
        return why

    async def _declare(self, channel: Channel) -> None:
        """Declare what the queue needs. Raises `ChannelClosedError` when RabbitMQ will not."""
        objects = self.objects
        for item in objects:
            try:
                await channel.declare(item, passive=self._passive)
                continue
            except ChannelClosedError as closed:
                refusal = closed
            if channel.pika.connection.is_open:
                host = channel.pika.connection.params.virtual_host
                self.trouble = refused(item, refusal.code, refusal.text, host)
                log.error("declaration_refused", queue=self.queue, why=self.trouble)
            raise refusal
        self.declared = objects is self.objects

    async def _keep_declared(self, connection: Connection) -> None:
        """Declare the objects on a channel of its own whenever they have changed."""
        while True:
            wait = None
            if not self.declared:
                try:
                    channel, objects = await channel_of(connection), self.objects
                    try:
                        for item in objects:
                            await channel.declare(item, passive=self._passive)
                    finally:
                        channel.close()
                    self.declared = objects is self.objects
                except NoChannelLeftError:
                    wait = SHORTEST_WAIT
                except ChannelClosedError:
                    pass  # the next subscription tells of it
                else:
                    continue
            await self._wait(wait)
