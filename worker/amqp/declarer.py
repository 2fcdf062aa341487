"""The objects that all lanes share, declared (or looked for) on every new connection."""

from __future__ import annotations

from asyncio import Event, sleep, wait_for
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

import structlog

from worker.amqp.session import NOT_FOUND, ChannelClosedError, channel_of
from worker.amqp.topology import MISMATCH, Queue, is_held_otherwise, refused

if TYPE_CHECKING:
    from pika.connection import Connection

    from worker.amqp.topology import Object

log = structlog.get_logger()

AGAIN_IN = 1.0
LOOK_EVERY = 5.0
"""Seconds between two looks whether the objects are there still."""
WAIT_FOR_OPTIONAL = 60.0
FOR_GOOD = frozenset((402, 403, 406, 540))
"""Content too large, access refused, precondition failed, not implemented (AMQP 0-9-1)."""


class TopologyDeclarer:
    """Declares objects one by one; one that RabbitMQ holds otherwise is told of and used as is."""

    def __init__(
        self,
        objects: tuple[Object, ...],
        optional: tuple[Object, ...],
        *,
        passive: bool,
    ) -> None:
        """`passive`: only look whether they are there. The `optional` objects may be missing."""
        self.trouble: str | None = "not declared yet"
        """Why the worker cannot work on this broker; None when it can."""
        self.mismatches: tuple[str, ...] = ()
        """What RabbitMQ holds with other arguments than ours, in its own words."""
        self.optional_trouble: str | None = None
        self._objects = objects
        self._optional = optional
        self._passive = passive
        self._is_missed = Event()

    def vanished(self, why: str) -> None:
        """One of the objects is gone, or may be: whoever waits for that declares them again."""
        if self.trouble is None:
            log.error("topology_vanished", why=why)
            self.trouble = why
            self._is_missed.set()

    async def until_gone(self, connection: Connection) -> None:
        """Return once one of the objects is not there any more, so far as anybody has seen.

        So too when one that was held otherwise is so no more: it may be another one by now.
        Raises `ChannelClosedError` when the connection is lost.
        """
        while not self._is_missed.is_set():
            with suppress(TimeoutError):
                await wait_for(self._is_missed.wait(), LOOK_EVERY)
                return
            await self._look(connection)
            before = self.mismatches
            if before and not self._is_missed.is_set():
                await self.declare(connection)
                if self.mismatches != before:
                    return

    async def _look(self, connection: Connection) -> None:
        """See whether all objects are there; bindings cannot be looked at."""
        optional = self._optional if self.optional_trouble is None else ()
        item = None
        try:
            channel = await channel_of(connection)
            for item in (*self._objects, *optional):
                await channel.declare(item, passive=True)
            channel.close()
        except ChannelClosedError as error:
            if not connection.is_open:
                raise
            if error.code == NOT_FOUND and item is not None:
                host = connection.params.virtual_host
                self.vanished(refused(item, error.code, error.text, host))

    async def declare(self, connection: Connection) -> None:
        """Declare everything on a fresh connection; a refusal is tried again for ever.

        Raises `ChannelClosedError` when the connection is lost.
        """
        mismatches: tuple[str, ...] = ()
        optional_trouble = None
        self._is_missed.clear()
        begun = monotonic()
        channel = await channel_of(connection)
        todo = [*self._objects, *self._optional]
        while todo:
            item = todo[0]
            try:
                await channel.declare(item, passive=self._passive)
                todo.pop(0)
                continue
            except ChannelClosedError as error:
                closed = error
            if not connection.is_open:
                raise closed
            why = refused(item, closed.code, closed.text, connection.params.virtual_host)
            is_optional = any(item is one for one in self._optional)
            differs = is_held_otherwise(closed.code, closed.text)
            if differs:
                mismatches += (why,)
                if why not in self.mismatches:
                    log.error("topology_mismatch", why=why)
            if differs and await self._is_usable(connection, item, why):
                todo.pop(0)
            elif is_optional and self._is_for_good(closed, monotonic() - begun):
                optional_trouble = why
                if why != self.optional_trouble:
                    log.warning("journal_unavailable", why=why)
                todo = []
            else:
                if why != self.trouble:
                    log.error("declaration_refused", why=why)
                self.trouble = why
                await sleep(AGAIN_IN)
            channel = await channel_of(connection)
        self.mismatches, self.optional_trouble = mismatches, optional_trouble
        self.trouble = None
        channel.close()

    async def _is_usable(self, connection: Connection, item: Object, why: str) -> bool:
        """Whether what is held otherwise serves all the same: all but a journal that is no stream.

        Which argument RabbitMQ calls another does not tell that, for it names only the first; but
        only a stream refuses a consumer without a prefetch count. Asked once: others deliver then.
        """
        if not isinstance(item, Queue) or all(item is not one for one in self._optional):
            return True
        if why in self.mismatches:
            return why != self.optional_trouble
        channel = await channel_of(connection)
        try:
            await channel.consume(item.name)
        except ChannelClosedError as error:
            return error.code == MISMATCH
        channel.give_back()
        return False

    def _is_for_good(self, closed: ChannelClosedError, waited: float) -> bool:
        """Whether the journal is not to be had here, rather than not up yet after a restart.

        RabbitMQ 4.0 answers 404 for a moment then ("home node … is down or inaccessible"). To go
        without would be to forget what was settled, so that is waited for, though not for ever.
        """
        if waited > WAIT_FOR_OPTIONAL:
            return True
        absent = self._passive and "no queue" in closed.text
        return absent or closed.code in FOR_GOOD
