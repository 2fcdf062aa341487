"""What a user may do, asked without doing anything.

RabbitMQ checks `exchange.unbind` before it looks for either exchange: first whether the user may
write to the destination, then whether it may read the source; to unbind what was never bound is
no error. Names are all that counts, so a queue's name serves as well as an exchange's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from worker.amqp.inspection import ACCESS_REFUSED, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pika.adapters.blocking_connection import BlockingChannel

    from worker.amqp.inspection import Inspection


def may_write(inspection: Inspection, name: str) -> bool:
    """Whether the user may publish to an exchange of this name, or bind a queue of it."""
    refusal = _unbind(inspection, name, f"no-such-{uuid4().hex}")
    return refusal is None or f"'{name}'" not in refusal.text


def may_read(inspection: Inspection, name: str, writable: str) -> bool:
    """Whether the user may consume a queue of this name; it may write to `writable`."""
    return _unbind(inspection, writable, name) is None


def may_publish_to_queues(inspection: Inspection) -> bool:
    """Whether the user may publish to the default exchange; what is published goes nowhere."""

    def publish(channel: BlockingChannel) -> None:
        channel.confirm_delivery()
        channel.basic_publish("", f"no-such-{uuid4().hex}", b"")

    return not isinstance(inspection.ask(publish), Refusal)


def unwritable(inspection: Inspection, names: Iterable[str]) -> list[str]:
    """Those of these names that the user may not write to."""
    return [name for name in sorted(names) if not may_write(inspection, name)]


def unreadable(inspection: Inspection, names: Iterable[str], writable: str) -> list[str]:
    """Those of these names that the user may not read."""
    return [name for name in sorted(names) if not may_read(inspection, name, writable)]


def _unbind(inspection: Inspection, destination: str, source: str) -> Refusal | None:
    """The refusal for want of permission, if any; others say nothing of permissions."""

    def unbind(channel: BlockingChannel) -> None:
        channel.exchange_unbind(destination, source, f"no-such-{uuid4().hex}")

    answer = inspection.ask(unbind)
    return answer if isinstance(answer, Refusal) and answer.code == ACCESS_REFUSED else None
