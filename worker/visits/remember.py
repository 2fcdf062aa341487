"""What the journal tells of dead letters, as much of it as is needed."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from worker.visits.journal import read_journal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from schemas import Event
    from worker.amqp.history import Offset
    from worker.letters.letter import Letter
    from worker.letters.past import Past
    from worker.visits.broker import Broker, Trouble

MARGIN = timedelta(minutes=5)
"""How far the worker's clock, that letters are dated by, may be from RabbitMQ's."""


def remember(
    broker: Broker,
    past: Past,
    letters: Sequence[Letter],
    hear: Callable[[Event], None] = lambda _: None,
) -> Trouble | None:
    """Tell `past` of all events since the first of the letters was received; each goes to `hear`.

    When an edit then seems newer than a letter of its job, the whole journal is read for the
    time when that edit was received first: an old one may have been sent again.
    """

    def heard(event_id: str | None, body: bytes) -> None:
        if past.wants(event_id, body) and (event := past.hear(body)) is not None:
            hear(event)

    def heard_begin(event_id: str | None, body: bytes) -> None:
        if past.wants(event_id, body):
            past.hear_begin(body)

    since = _since(letters)
    trouble = read_journal(broker, since, heard)
    if trouble is None and since != "first" and any(map(past.is_doubtful, letters)):
        trouble = read_journal(broker, "first", heard_begin)
    return trouble


def _since(letters: Sequence[Letter]) -> Offset:
    received = [letter.received_at for letter in letters]
    known = [at for at in received if at is not None]
    return min(known) - MARGIN if known and len(known) == len(received) else "first"
