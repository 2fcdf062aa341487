"""What RabbitMQ says of each message that was published on one channel.

Publishing many messages at once, and hearing what becomes of them: `taskedit publish`.

Confirms come in batches, not one round trip a message. The queue for the events is bound before
the first message goes out, so that none can be missed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from itertools import takewhile
from typing import TYPE_CHECKING, cast

from pika.spec import Basic

from worker.amqp import codec as wire
from worker.amqp.listening import listen
from worker.core.message import ConfirmResult

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pika.channel import Channel
    from pika.connection import Connection
    from pika.frame import Method
    from pika.spec import BasicProperties

    from worker.amqp.codec import WireProperties
    from worker.core.message import Publication
    from worker.core.rate_limit import Pacer
    from worker.loop import Loop


class Confirms:
    """Joins confirms and returns to messages, each of which has an id of its own."""

    def __init__(self) -> None:
        self.fates: dict[str, ConfirmResult] = {}
        """What RabbitMQ said, by message id."""
        self.sent = 0
        self._unconfirmed: dict[int, str] = {}
        self._returned: set[str] = set()

    @property
    def open(self) -> int:
        """How many messages were published and are not confirmed yet."""
        return len(self._unconfirmed)

    def publish(self, message_id: str) -> None:
        """Note that this message is published now."""
        self.sent += 1
        self._unconfirmed[self.sent] = message_id

    def give_back(self, _: object, __: object, properties: BasicProperties, ___: bytes) -> None:
        """Note a return, which comes before its confirm; a callback of pika's."""
        self._returned.add(str(cast("WireProperties", properties).core.message_id))

    def confirm(self, frame: Method[Basic.Ack | Basic.Nack]) -> list[str]:
        """Note a confirm, of one message or of all up to one; their ids."""
        last = frame.method.delivery_tag
        tags = [last]
        if frame.method.multiple:
            tags = list(takewhile(lambda tag: tag <= last, self._unconfirmed))
        ids = [self._unconfirmed.pop(tag) for tag in tags]
        for message_id in ids:
            fate = (
                ConfirmResult.UNROUTABLE
                if message_id in self._returned
                else ConfirmResult.CONFIRMED
            )
            refused = isinstance(frame.method, Basic.Nack)
            self.fates[message_id] = ConfirmResult.REFUSED if refused else fate
        return ids


UNCONFIRMED_AT_MOST = 1000
LOOK_EVERY = 0.1
CONFIRMS_WITHIN = 2.0
"""Seconds that are given to the last confirms when it has been told to stop."""
NOT_FOUND = 404


class PostingEnd(Enum):
    """How a posting ended."""

    DONE = "done"
    STOPPED = "stopped"
    LATE = "late"
    """Nothing came for too long."""
    ABSENT = "absent"
    """RabbitMQ, or an exchange or queue in it, is not there (any more)."""
    REFUSED = "refused"
    """RabbitMQ closed the channel: permissions, most likely."""


@dataclass(frozen=True, slots=True)
class PostingPlan:
    """How to publish."""

    events: str | None
    """The exchange to hear outcomes from, or None to wait for confirms only."""
    patience: float
    """Seconds without any progress after which it is given up."""
    pacer: Pacer | None = None


class Posting:
    """Publishes in order, mandatory, and notes each one's fate; everything on the loop's thread.

    Every publication has a message id of its own.
    """

    def __init__(
        self,
        loop: Loop,
        publications: Sequence[Publication],
        plan: PostingPlan,
        *,
        heard: Callable[[bytes], None],
        look: Callable[[], None],
        ended: Callable[[], None],
    ) -> None:
        """`heard` is told each event's body once; `look` is called every `LOOK_EVERY` seconds.

        `ended` is called once, when `end` is set.
        """
        self.end: PostingEnd | None = None
        self.trouble = ""
        """What RabbitMQ said, when it ended for that."""
        self.confirms = Confirms()
        ids = {str(each.properties.message_id) for each in publications}
        self.awaited = set() if plan.events is None else ids
        """The message ids whose event is still to come."""
        self._loop = loop
        self._publications = publications
        self._plan = plan
        self._heard = heard
        self._look = look
        self._ended = ended
        self._progress_at = loop.now()
        self._stopping_at: float | None = None
        self._connection: Connection | None = None
        self._channel: Channel | None = None
        self._woken = False

    def start(self, connection: Connection) -> None:
        """Begin on a fresh connection."""
        self._connection = connection

        def ready() -> None:
            if connection.is_open:
                connection.channel(on_open_callback=self._check)

        if self._plan.events is None:
            ready()
        else:
            listen(
                connection, self._plan.events, heard=self._event, ready=ready, closed=self._closed
            )
        self._tick()

    def stop(self) -> None:
        """Send no more, and end when the last confirms are in."""
        if self._channel is None:
            self.finish(PostingEnd.STOPPED)
        self._stopping_at = self._loop.now()
        self._settle()

    def _check(self, channel: Channel) -> None:
        """Make sure that there is something to publish to, before anything is published."""
        channel.add_on_close_callback(self._closed)
        channel.add_on_return_callback(self.confirms.give_back)
        first = self._publications[0]

        def there(_: object) -> None:
            channel.confirm_delivery(self._confirm, callback=lambda _: self._begin(channel))

        if first.exchange:
            channel.exchange_declare(first.exchange, passive=True, callback=there)
        else:
            channel.queue_declare(first.routing_key, passive=True, callback=there)

    def _begin(self, channel: Channel) -> None:
        self._channel = channel
        self._pump()

    def _pump(self) -> None:
        """Publish what may be published by now."""
        channel, publications, confirms = self._channel, self._publications, self.confirms
        if channel is None or self._stopping_at is not None:
            return
        while confirms.sent < len(publications) and confirms.open < UNCONFIRMED_AT_MOST:
            if not (channel.is_open and self._may_publish()):
                return
            self._publish(channel, publications[confirms.sent])

    def _may_publish(self) -> bool:
        """Take a slot; without one, come back when there is one."""
        pacer, now = self._plan.pacer, self._loop.now()
        if pacer is None:
            return True
        wait = pacer.wait(now)
        if wait <= 0:
            pacer.take(now)
        elif not self._woken:
            self._woken = True
            self._loop.call_later(wait, self._wake)
        return wait <= 0

    def _wake(self) -> None:
        self._woken = False
        self._pump()

    def _publish(self, channel: Channel, one: Publication) -> None:
        self._progress_at = self._loop.now()
        wire.publish(channel, one, mandatory=True)
        self.confirms.publish(str(one.properties.message_id))

    def _confirm(self, frame: Method[Basic.Ack | Basic.Nack]) -> None:
        for message_id in self.confirms.confirm(frame):
            if self.confirms.fates[message_id] is not ConfirmResult.CONFIRMED:
                self.awaited.discard(message_id)
        self._progress_at = self._loop.now()
        self._pump()
        self._settle()

    def _event(self, correlation_id: str | None, body: bytes) -> None:
        """An event's correlation id is the edit's message id, for we publish without any."""
        if correlation_id in self.awaited:
            self.awaited.remove(correlation_id)
            self._progress_at = self._loop.now()
            self._heard(body)
            self._settle()

    def _closed(self, _: object, error: Exception) -> None:
        """A channel is gone: with its connection, or for something RabbitMQ will not have."""
        if self._connection is not None and self._connection.is_open:
            missing = getattr(error, "reply_code", None) == NOT_FOUND
            self.finish(
                PostingEnd.ABSENT if missing else PostingEnd.REFUSED,
                str(getattr(error, "reply_text", error)),
            )

    def _tick(self) -> None:
        if self.end is not None:
            return
        self._look()
        now = self._loop.now()
        if self._stopping_at is not None and now - self._stopping_at > CONFIRMS_WITHIN:
            self.finish(PostingEnd.STOPPED)
        elif now - self._progress_at > self._plan.patience:
            self.finish(PostingEnd.LATE)
        self._loop.call_later(LOOK_EVERY, self._tick)

    def _settle(self) -> None:
        """End when there is nothing more to come."""
        if self.confirms.open:
            return
        if self._stopping_at is not None:
            self.finish(PostingEnd.STOPPED)
        elif self.confirms.sent == len(self._publications) and not self.awaited:
            self.finish(PostingEnd.DONE)

    def finish(self, end: PostingEnd, trouble: str = "") -> None:
        """End now; the first call counts. `trouble`: what RabbitMQ said."""
        if self.end is None:
            self.end, self.trouble = end, trouble
            self._look()
            self._ended()
