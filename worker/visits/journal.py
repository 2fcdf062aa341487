"""The journal, read by a command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.amqp.history import End, Reading
from worker.visits.broker import Errand, Kind, Trouble

if TYPE_CHECKING:
    from collections.abc import Callable

    from pika.connection import Connection  # noqa: TID251 (its type, never pika itself)

    from worker.amqp.history import Offset
    from worker.core.delivery import Properties
    from worker.visits.broker import Broker


def read_journal(
    broker: Broker, offset: Offset, hear: Callable[[Properties, bytes], bool | None]
) -> Trouble | None:
    """Tell `hear` each event from `offset` up to now, or until it says False.

    Hearing happens between reads of the connection: it may print, but not wait for people.
    """
    return _Reader(broker, offset, hear, follow=False).run()


class Follower:
    """Tells every event as it is published, over as many connections as it takes."""

    def __init__(
        self, broker: Broker, offset: Offset, hear: Callable[[Properties, bytes], None]
    ) -> None:
        """`offset`: where to begin, ``next`` for what is published from now on."""
        self.was_up = False
        """Whether RabbitMQ has been there at all."""
        self._broker = broker
        self._hear = hear
        self._offset: Offset = offset

    def follow(self) -> Trouble | None:
        """Tell all from where it was left until the connection is lost, or Ctrl-C."""
        reader = _Reader(self._broker, self._offset, self._hear, follow=True)
        trouble = reader.run()
        self.was_up = self.was_up or reader.was_up
        if reader.next_offset is not None:
            self._offset = reader.next_offset
        return trouble


class _Reader:
    def __init__(
        self,
        broker: Broker,
        offset: Offset,
        hear: Callable[[Properties, bytes], bool | None],
        *,
        follow: bool,
    ) -> None:
        self.was_up = False
        self._broker = broker
        self._offset = offset
        self._hear = hear
        self._follow = follow
        self._reading: Reading | None = None
        self._errand = Errand(broker, self._begin)

    @property
    def next_offset(self) -> int | None:
        return self._reading.next_offset if self._reading else None

    def run(self) -> Trouble | None:
        return self._errand.run()

    def _begin(self, connection: Connection) -> None:
        self.was_up = True
        reading = self._reading = Reading(
            self._errand.loop,
            connection,
            self._broker.names.journal,
            hear=self._heard,
            ended=self._ended,
        )
        begin = reading.follow if self._follow else reading.read
        begin(self._offset)

    def _heard(self, had: Properties, body: bytes) -> None:
        if self._hear(had, body) is False and self._reading is not None:
            self._reading.stop()

    def _ended(self, end: End, why: str) -> None:
        match end:
            case End.DONE:
                self._errand.end()
            case End.NO_STREAM:
                self._errand.end(Trouble(Kind.NO_STREAM, f"there is no journal to read: {why}"))
            case End.FAILED:
                self._errand.end(Trouble(Kind.FAILED, why))
