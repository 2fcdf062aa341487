"""Publishing with asynchronous confirms: a map from delivery tag to what was published.

What RabbitMQ has not confirmed when its connection goes is published again on the next one, as
long as it is wanted. A `basic.return` comes before its confirm, so only a confirm without return
means that a queue has the message.

Replies to `reply_to` addresses are best effort, on a connection of their own: one to an address
that does not exist any more can make RabbitMQ close the whole connection (541 for
`amq.rabbitmq.reply-to.…`).
"""

from __future__ import annotations

from asyncio import shield, sleep
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from pika.spec import Basic

from worker.amqp import codec, frames
from worker.amqp.session import NOT_FOUND, Channel, ChannelClosedError, channel_of
from worker.core.message import ConfirmResult

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Callable

    from pika.channel import Channel as PikaChannel
    from pika.connection import Connection
    from pika.frame import Method

    from worker.amqp.connection import KeptConnection
    from worker.core.message import Publication
    from worker.loop import Loop


log = structlog.get_logger()

REOPEN_IN = 0.2
AFTER_GONE = 1.0
"""Seconds until what is gone is tried again: its declaration takes some hundredths of one."""
CLOSURES_AT_MOST = 3
"""A publication that was alone on a channel when RabbitMQ closed it, so often, is refused."""


@dataclass(slots=True, eq=False)
class _Pending:
    publication: Publication
    wanted: Callable[[], bool]
    told: Future[ConfirmResult]
    returned: bool = False
    closures: int = 0


class ConfirmedPublisher:
    """One channel in confirm mode; everything happens on the loop's thread."""

    def __init__(
        self,
        loop: Loop,
        *,
        lease_holds: Callable[[], bool] = lambda: True,
        changed: Callable[[], None] = lambda: None,
        vanished: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`changed` is called when the publisher has become able to publish.

        `vanished` is told, in RabbitMQ's words, that an exchange or a queue of ours is gone.

        While the lease does not hold, publications wait: a process that wakes from a long sleep
        has to find out first whether its deliveries are its own still.
        """
        self._loop = loop
        self._lease_holds = lease_holds
        self._changed = changed
        self._vanished = vanished
        self._channel: Channel | None = None
        self._tag = 0
        self._outstanding: dict[int, _Pending] = {}
        self._backlog: deque[_Pending] = deque()
        self._careful = False
        self._is_flushing = False

    @property
    def is_open(self) -> bool:
        """Whether what is published now goes out now."""
        return self._channel is not None and self._channel.is_open

    @property
    def outstanding(self) -> int:
        """How many publications are not confirmed yet."""
        return len(self._outstanding) + len(self._backlog)

    def publish(
        self, publication: Publication, wanted: Callable[[], bool] = lambda: True
    ) -> Future[ConfirmResult]:
        """Publish; to be awaited for what RabbitMQ said.

        `wanted` is asked before each try, for nothing may be published for a delivery that has
        gone back to its queue.
        """
        told: Future[ConfirmResult] = self._loop.future()
        self._backlog.append(_Pending(publication, wanted, told))
        if not self._is_flushing:
            self._is_flushing = True
            self._loop.soon(self._flush)
        return told

    def lease_regained(self) -> None:
        """Publish what has waited for the lease and is wanted still."""
        self._flush()

    async def serve(self, connection: Connection) -> None:
        """Publish on a fresh connection for as long as it lasts."""
        while connection.is_open:
            try:
                channel = await channel_of(connection)
                channel.pika.add_on_close_callback(self._closed)
                channel.pika.add_on_return_callback(self._returned)
                await channel.call("confirm_delivery", self._confirmed)
                self._channel, self._tag = channel, 0
                self._flush()
                self._changed()
                code = (await shield(channel.closed)).code
            except ChannelClosedError as closed:
                code = closed.code  # and `_closed` was told
            await sleep(AFTER_GONE if code == NOT_FOUND else REOPEN_IN)

    def drop_unwanted(self) -> None:
        """Tell of what waits for a connection and is wanted no more."""
        waiting, self._backlog = self._backlog, deque()
        for pending in waiting:
            if pending.wanted():
                self._backlog.append(pending)
            else:
                self._tell(pending, ConfirmResult.UNWANTED)

    def _flush(self) -> None:
        """Publish what waits, at the end of the turn: what is asked once serves for all of it."""
        self._is_flushing = False
        channel, backlog = self._channel, self._backlog
        if channel is None or not channel.is_open or not self._lease_holds():
            return
        while backlog and not (self._careful and self._outstanding):
            pending = backlog.popleft()
            if pending.told.cancelled() or not pending.wanted():
                self._tell(pending, ConfirmResult.UNWANTED)
                continue
            try:
                frames.publish(channel.pika, pending.publication, mandatory=True)
            except Exception:
                log.exception("not_publishable", exchange=pending.publication.exchange)
                self._tell(pending, ConfirmResult.REFUSED)
                continue
            self._tag += 1  # RabbitMQ counts what was written, and so nothing else may count
            self._outstanding[self._tag] = pending

    def _confirmed(self, frame: Method[Basic.Ack | Basic.Nack]) -> None:
        method = frame.method
        refused = isinstance(method, Basic.Nack)
        tags = [method.delivery_tag]
        if method.multiple:
            last = method.delivery_tag
            tags = [tag for tag in self._outstanding if tag <= last or last == 0]
        for tag in tags:
            pending = self._outstanding.pop(tag, None)
            if pending is not None:
                said = ConfirmResult.UNROUTABLE if pending.returned else ConfirmResult.CONFIRMED
                self._tell(pending, ConfirmResult.REFUSED if refused else said)
        if self._careful:
            self._careful = bool(self._outstanding or self._backlog)
            self._flush()

    @staticmethod
    def _tell(pending: _Pending, said: ConfirmResult) -> None:
        if not pending.told.done():
            pending.told.set_result(said)

    def _returned(self, _: object, method: Basic.Return, __: object, body: bytes) -> None:
        """Mark the oldest like it: RabbitMQ returns in the order of publishing."""
        for pending in self._outstanding.values():
            one = pending.publication
            same = codec.same_name(one.exchange, method.exchange) and codec.same_name(
                one.routing_key, method.routing_key
            )
            if same and one.body == body and not pending.returned:
                pending.returned = True
                return

    def _closed(self, pika: PikaChannel, error: Exception) -> None:
        """Publish again what was not confirmed; one by one if a publication was at fault."""
        self._channel = None
        again, self._outstanding = list(self._outstanding.values()), {}
        if pika.connection.is_open:
            why = str(getattr(error, "reply_text", error))
            log.error("publisher_channel_closed", why=why)
            gone = getattr(error, "reply_code", None) == NOT_FOUND
            self._careful = not gone
            if gone:  # the fault of no publication: all wait until it is declared again
                self._vanished(why)
            elif len(again) == 1:
                again[0].closures += 1
        for pending in again:
            pending.returned = False
        refused = [one for one in again if one.closures >= CLOSURES_AT_MOST]
        self._backlog.extendleft(reversed([one for one in again if one not in refused]))
        for pending in refused:
            self._tell(pending, ConfirmResult.REFUSED)


WAITING_AT_MOST = 1000


class ReplyPublisher:
    """Publishes what it can; what was on its way when the connection went is not repeated."""

    def __init__(self) -> None:
        self.dropped = 0
        self._link: KeptConnection | None = None
        self._asked = False
        self._channel: Channel | None = None
        self._waiting: deque[Publication] = deque(maxlen=WAITING_AT_MOST)

    def use(self, link: KeptConnection) -> None:
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

    async def serve(self, connection: Connection) -> None:
        """Publish on a fresh connection for as long as it lasts."""
        while connection.is_open:
            try:
                self._channel = await channel_of(connection)
                self._flush()
                await shield(self._channel.closed)
            except ChannelClosedError:
                pass
            await sleep(REOPEN_IN)

    def _flush(self) -> None:
        channel = self._channel
        while self._waiting and channel is not None and channel.is_open:
            try:
                frames.publish(channel.pika, self._waiting.popleft())
            except Exception:  # only the reply may be lost
                self.dropped += 1
                log.exception("reply_not_publishable")
