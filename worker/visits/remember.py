"""What the journal tells of dead letters, as much of it as is needed."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from schemas.names import PLACE_HEADER
from worker.core.place import place
from worker.visits.journal import read_journal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from schemas import Event
    from worker.amqp.history import Offset
    from worker.core.delivery import Properties
    from worker.letters.letter import Letter
    from worker.letters.past import Past
    from worker.visits.broker import Broker, Trouble

MARGIN = timedelta(minutes=5)
"""How far the worker's clock, that letters are dated by, may be from RabbitMQ's without all of the
journal being read."""


def remember(
    broker: Broker,
    past: Past,
    letters: Sequence[Letter],
    hear: Callable[[Event], None] = lambda _: None,
) -> Trouble | None:
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


def _heard(past: Past, had: Properties, body: bytes) -> Event | None:
    if not past.wants(had.message_id, body):
        return None
    return past.hear(body, place(had.headers.text(PLACE_HEADER)))


def _since(letters: Sequence[Letter]) -> Offset:
    received = [letter.received_at for letter in letters]
    known = [at for at in received if at is not None]
    return min(known) - MARGIN if known and len(known) == len(received) else "first"
