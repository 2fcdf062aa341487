"""How many events came to the journal: every contestant's land there."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from tests.bench import queues

if TYPE_CHECKING:
    from schemas import Names

_SILENCE = 0.5
_WITHIN = 20.0
_UNACKED = 1000
_ACK_EVERY = 250


def events(url: str, names: Names) -> int:
    """The events in the journal, markers that the worker leaves there aside."""
    count = 0
    with queues.connected(url) as channel:
        channel.basic_qos(prefetch_count=_UNACKED)
        until = monotonic() + _WITHIN
        for method, properties, _ in channel.consume(
            names.journal, inactivity_timeout=_SILENCE, arguments={"x-stream-offset": "first"}
        ):
            if method is None or properties is None or monotonic() > until:
                break
            count += properties.type not in {"task-edit.marker", "task-edit.slots"}
            tag = method.delivery_tag or 0
            if tag % _ACK_EVERY == 0:
                channel.basic_ack(tag, multiple=True)
    return count
