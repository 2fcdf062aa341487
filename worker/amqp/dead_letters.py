"""Messages that one channel holds for a command, until it settles them or gives them back.

The dead letters' queue taken as a whole, and given back as it was.

A quorum queue cannot be looked into: a letter is seen by taking it. What is given back goes
behind what was given back before, so the order only stays when the whole queue is taken and
given back from its head. Measured on 3.10.8 and 4.0.5 with 100,000 letters: a prefetch of 0 means
2000, but one up to 65,535 is honoured; a window that is given back by closing its channel comes
back in order; and a second window stays behind the first if it is closed once the queue counts
the first one's letters as ready again.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pika.exceptions import ChannelWrongStateError

from worker.amqp.codec import received

if TYPE_CHECKING:
    from collections.abc import Callable

    from pika.channel import Channel
    from pika.connection import Connection
    from pika.frame import Method
    from pika.spec import Basic, BasicProperties, Queue

    from worker.core.message import Delivery
    from worker.loop import Loop


class DeliveryBatch:
    """Letters of one channel, all unacked until they are settled."""

    def __init__(self, channel: Channel, wanted: int) -> None:
        self.alive = True
        self.channel = channel
        self.wanted = wanted
        self.count = 0
        self.unacked = 0

    def ack(self, tag: int) -> None:
        """Take one letter out of the queue for good."""
        if self.alive and self.channel.is_open:
            self.unacked -= 1
            self.channel.basic_ack(tag)

    def give_back(self) -> None:
        """Close without a cancel: everything unacked goes back in order."""

        def keep_consuming(*_: object, **__: object) -> None:
            """Stand in for `basic_cancel`, which pika's `close` calls for every consumer."""

        self.alive = False
        self.channel.basic_cancel = keep_consuming  # type: ignore[method-assign]
        try:
            self.channel.close()
        except ChannelWrongStateError:
            return  # closing or closed already


WINDOW = 50_000
"""Letters a channel takes; when a command is killed, RabbitMQ returns windows in any order."""
LOOK_EVERY = 0.02
OTHERS_LEAVE_WITHIN = 10.0
"""Seconds that a killed command's letters may take to come back."""
QUIET = 10.0
"""Seconds without a letter after which those still missing are not waited for."""
BACK_WITHIN = 15.0
NOT_FOUND = 404


class WholeQueue:
    """Takes what lies in the queue at one moment; everything on the loop's thread.

    Nobody else may take from the queue meanwhile: see `worker.amqp.lock`.
    """

    def __init__(
        self, loop: Loop, connection: Connection, queue: str, *, failed: Callable[[str], None]
    ) -> None:
        """`failed` is told once, in a sentence, why the letters are not ours (any more)."""
        self.missing = 0
        """Letters that were there and did not come: somebody else has them."""
        self.count = 0
        self._loop = loop
        self._connection = connection
        self._queue = queue
        self._failed = failed
        self._windows: list[DeliveryBatch] = []
        self._given_back: set[Channel] = set()
        self._counter: Channel | None = None
        self._see: Callable[[Delivery, DeliveryBatch], None] = _unseen
        self._taken: Callable[[], None] = _nothing
        self._to_settle = False
        self._total = 0
        self._heard_at = 0.0

    def take(
        self,
        see: Callable[[Delivery, DeliveryBatch], None],
        taken: Callable[[], None],
        *,
        to_settle: bool,
    ) -> None:
        """Tell `see` each letter, from the head of the queue on; then call `taken`.

        Letters may be acked only with `to_settle`: then no new ones take their room.
        """
        self._see, self._taken, self._to_settle = see, taken, to_settle
        self.count = self.missing = 0
        self._windows = []
        by = self._loop.now() + OTHERS_LEAVE_WITHIN

        def counted(frame: Method[Queue.DeclareOk]) -> None:
            if frame.method.consumer_count and self._loop.now() < by:
                self._loop.call_later(LOOK_EVERY, lambda: self._ask(counted))
                return
            self._total = frame.method.message_count or 0
            self._heard_at = self._loop.now()
            self._next_window()

        if self._counter is not None and self._counter.is_open:
            self._ask(counted)
        else:
            self._open(lambda channel: self._keep_counter(channel, counted))

    def give_back(self, done: Callable[[], None]) -> None:
        """Return what was not acked, as it was; `done` is called once it is there again."""
        windows, self._windows = self._windows, []
        self._see, self._taken, self._total = _unseen, _nothing, self.count
        self._return(windows, done)

    def _keep_counter(
        self, channel: Channel, counted: Callable[[Method[Queue.DeclareOk]], None]
    ) -> None:
        self._counter = channel
        self._ask(counted)

    def _open(self, opened: Callable[[Channel], None]) -> None:
        def ready(channel: Channel) -> None:
            channel.add_on_close_callback(self._closed)
            opened(channel)

        if self._connection.is_open:
            self._connection.channel(on_open_callback=ready)

    def _ask(self, answered: Callable[[Method[Queue.DeclareOk]], None]) -> None:
        if self._counter is not None and self._counter.is_open:
            self._counter.queue_declare(self._queue, passive=True, callback=answered)

    # Taking

    def _next_window(self) -> None:
        left = self._total - self.count
        if left <= 0:
            self._taken()
            return
        self._open(lambda channel: self._consume(channel, min(WINDOW, left)))

    def _consume(self, channel: Channel, wanted: int) -> None:
        if self.count >= self._total:  # given back before it had begun
            return
        window = DeliveryBatch(channel, wanted)
        self._windows.append(window)

        def consume(_: object) -> None:
            tag = channel.basic_consume(self._queue, letter)
            self._loop.call_later(QUIET, lambda: self._watch(window, tag))

        def letter(
            _: Channel, method: Basic.Deliver, properties: BasicProperties, body: bytes
        ) -> None:
            window.count += 1
            window.unacked += 1
            self.count += 1
            self._heard_at = self._loop.now()
            self._see(received(method, properties, body, datetime.now(UTC)), window)
            if window.count == wanted:
                self._full(window, str(method.consumer_tag))

        channel.basic_qos(prefetch_count=wanted, callback=consume)

    def _full(self, window: DeliveryBatch, tag: str) -> None:
        """Go on; a consumer that will ack is cancelled, for an ack makes room for others."""
        if self._to_settle or window.count < window.wanted:
            window.channel.basic_cancel(tag, callback=lambda _: self._next_window())
        else:
            self._next_window()

    def _watch(self, window: DeliveryBatch, tag: str) -> None:
        """Do not wait for ever for letters that somebody else took."""
        if window.count >= window.wanted or not window.channel.is_open or not window.alive:
            return
        if self._loop.now() - self._heard_at < QUIET:
            self._loop.call_later(QUIET, lambda: self._watch(window, tag))
            return
        self.missing = self._total - self.count
        self._total = self.count
        self._full(window, tag)

    # Giving back

    def _return(self, windows: list[DeliveryBatch], done: Callable[[], None]) -> None:
        """One window after the other, each once the last is in its place again."""
        if not windows or self._counter is None:
            done()
            return
        window = windows.pop(0)
        by = self._loop.now() + BACK_WITHIN

        def counted(frame: Method[Queue.DeclareOk]) -> None:
            wanted = (frame.method.message_count or 0) + window.unacked
            if window.channel.is_open:
                self._given_back.add(window.channel)
            window.give_back()
            self._ask(lambda frame: back(frame, wanted))

        def back(frame: Method[Queue.DeclareOk], wanted: int) -> None:
            if (frame.method.message_count or 0) >= wanted or self._loop.now() > by:
                self._return(windows, done)
            else:
                self._loop.call_later(
                    LOOK_EVERY, lambda: self._ask(lambda frame: back(frame, wanted))
                )

        self._ask(counted)

    def _closed(self, channel: Channel, error: Exception) -> None:
        """A channel is gone: given back, or for something RabbitMQ will not have."""
        for window in self._windows:
            if window.channel is channel:
                window.alive = False
        if channel is self._counter:
            self._counter = None
        if channel in self._given_back:
            self._given_back.remove(channel)
        else:
            self._tell(error)

    def _tell(self, error: Exception) -> None:
        if not self._connection.is_open:
            return  # whoever holds the connection tells of that
        if getattr(error, "reply_code", None) == NOT_FOUND:
            self._failed(f"there is no queue {self._queue}: has a worker ever run here?")
        else:
            self._failed(f"RabbitMQ says: {getattr(error, 'reply_text', None) or error}")


def _unseen(_: Delivery, __: DeliveryBatch) -> None:
    """See nothing: nothing is taken yet."""


def _nothing() -> None:
    """Do nothing: nothing is taken yet."""
