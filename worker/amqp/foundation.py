"""What all lanes stand on, declared (or looked for) on every new connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from worker.amqp.topology import MISMATCH, declare, refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from pika.channel import Channel
    from pika.connection import Connection

    from worker.amqp.loop import PikaLoop
    from worker.amqp.topology import Object

log = structlog.get_logger()

AGAIN_IN = 1.0
WAIT_FOR_OPTIONAL = 60.0
FOR_GOOD = frozenset((402, 403, 406, 540))
"""Content too large, access refused, precondition failed, not implemented (AMQP 0-9-1)."""


class Foundation:
    """Declares objects one by one; one that RabbitMQ holds otherwise is told of and used as is."""

    def __init__(
        self,
        loop: PikaLoop,
        objects: tuple[Object, ...],
        optional: tuple[Object, ...],
        *,
        passive: bool,
        laid: Callable[[], None],
    ) -> None:
        """`laid` is called once all objects are there; the `optional` ones may be missing."""
        self.trouble: str | None = "not declared yet"
        """Why the worker cannot work on this broker; None when it can."""
        self.mismatches: tuple[str, ...] = ()
        """What RabbitMQ holds with other arguments than ours, in its own words."""
        self.optional_trouble: str | None = None
        self._loop = loop
        self._objects = objects
        self._optional = frozenset(map(id, optional))
        self._all = objects + optional
        self._passive = passive
        self._laid = laid
        self._todo: list[Object] = []
        self._doing: Object | None = None
        self._begun = 0.0

    def start(self, connection: Connection) -> None:
        """Declare everything on a fresh connection."""
        self.mismatches, self.optional_trouble = (), None
        self._todo = list(self._all)
        self._begun = self._loop.now()
        self._proceed(connection)

    def _proceed(self, connection: Connection) -> None:
        if not connection.is_open:
            return

        def opened(channel: Channel) -> None:
            channel.add_on_close_callback(self._refused)
            declare(
                channel,
                list(self._todo),
                passive=self._passive,
                done=lambda: self._done(channel),
                doing=self._note,
            )

        connection.channel(on_open_callback=opened)

    def _note(self, item: Object) -> None:
        if self._doing is not None:
            self._todo.remove(self._doing)
        self._doing = item

    def _done(self, channel: Channel) -> None:
        self._doing = None
        self.trouble = None
        channel.close()
        self._laid()

    def _refused(self, channel: Channel, error: Exception) -> None:
        item, self._doing = self._doing, None
        connection = channel.connection
        if item is None or not connection.is_open:
            return
        why = refused(item, error)
        if id(item) in self._optional and self._is_for_good(error):
            self._do_without(why)
        elif getattr(error, "reply_code", None) == MISMATCH:
            self.mismatches += (why,)
            self._todo.remove(item)
            log.error("topology_mismatch", why=why)
        else:
            self._try_again(connection, why)
            return
        self._proceed(connection)

    def _is_for_good(self, error: Exception) -> bool:
        """Whether the journal is not to be had here, rather than not up yet after a restart.

        RabbitMQ 4.0 answers 404 for a moment then ("home node … is down or inaccessible"). To go
        without would be to forget what was settled, so that is waited for, though not for ever.
        """
        if self._loop.now() - self._begun > WAIT_FOR_OPTIONAL:
            return True
        absent = self._passive and "no queue" in str(getattr(error, "reply_text", ""))
        return absent or getattr(error, "reply_code", None) in FOR_GOOD

    def _do_without(self, why: str) -> None:
        self.optional_trouble = why
        self._todo = []
        log.warning("journal_unavailable", why=why)

    def _try_again(self, connection: Connection, why: str) -> None:
        if why != self.trouble:
            log.error("declaration_refused", why=why)
        self.trouble = why
        self._loop.call_later(AGAIN_IN, lambda: self._proceed(connection))
