"""The journal, read by a command.

What the journal tells of dead letters, as much of it as is needed.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from schemas.names import PLACE_HEADER
from worker.amqp.history import ReadingEnd, StreamReading
from worker.core.identity import place
from worker.deadletters.visit import Errand, VisitFailure, VisitFailureKind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pika.connection import Connection  # noqa: TID251 (its type, never pika itself)

    from schemas import Event
    from worker.amqp.history import Offset
    from worker.core.message import Properties
    from worker.deadletters.history import JobHistory
    from worker.deadletters.letter import Letter
    from worker.deadletters.visit import Broker


def read_journal(
    broker: Broker, offset: Offset, hear: Callable[[Properties, bytes], bool | None]
) -> VisitFailure | None:
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

    def follow(self) -> VisitFailure | None:
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
        self._reading: StreamReading | None = None
        self._errand = Errand(broker, self._begin)

    @property
    def next_offset(self) -> int | None:
        return self._reading.next_offset if self._reading else None

    def run(self) -> VisitFailure | None:
        return self._errand.run()

    def _begin(self, connection: Connection) -> None:
        self.was_up = True
        reading = self._reading = StreamReading(
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

    def _ended(self, end: ReadingEnd, why: str) -> None:
        match end:
            case ReadingEnd.DONE:
                self._errand.end()
            case ReadingEnd.NO_STREAM:
                self._errand.end(
                    VisitFailure(VisitFailureKind.NO_STREAM, f"there is no journal to read: {why}")
                )
            case ReadingEnd.FAILED:
                self._errand.end(VisitFailure(VisitFailureKind.FAILED, why))


MARGIN = timedelta(minutes=5)
"""How far the worker's clock, that letters are dated by, may be from RabbitMQ's without all of the
journal being read."""


def remember(
    broker: Broker,
    past: JobHistory,
    letters: Sequence[Letter],
    hear: Callable[[Event], None] = lambda _: None,
) -> VisitFailure | None:
    """Tell `past` of all events since the first of the letters was received; each goes to `hear`.

    The whole journal is read when a letter's own event was not among them: then the clock that it
    was dated by was wrong. It is read as well when an edit seems newer than a letter by the clocks
    alone, for an old one may have been sent again.
    """

    def heard(had: Properties, body: bytes) -> None:
        if (event := _heard(past, had, body)) is not None:
            hear(event)

    def heard_begin(had: Properties, body: bytes) -> None:
        if past.wants(had.message_id, body):
            past.hear_begin(body)

    def heard_all(had: Properties, body: bytes) -> None:
        _heard(past, had, body)

    since = _since(letters)
    trouble = read_journal(broker, since, heard)
    if trouble is None and since != "first":
        if not all(map(past.has_heard, letters)):
            trouble = read_journal(broker, "first", heard_all)
        elif any(map(past.is_doubtful, letters)):
            trouble = read_journal(broker, "first", heard_begin)
    return trouble


def _heard(past: JobHistory, had: Properties, body: bytes) -> Event | None:
    if not past.wants(had.message_id, body):
        return None
    return past.hear(body, place(had.headers.text(PLACE_HEADER)))


def _since(letters: Sequence[Letter]) -> Offset:
    received = [letter.received_at for letter in letters]
    known = [at for at in received if at is not None]
    return min(known) - MARGIN if known and len(known) == len(received) else "first"
