"""Messages: as RabbitMQ delivers them (`Delivery`), and as they are published (`Publication`)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from schemas.names import DETAIL_HEADER
from worker.core.headers import NO_HEADERS, Headers

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from datetime import datetime

PERSISTENT = 2
OWN_PREFIX = "taskedit-"
"""What the names of our own headers begin with."""
DETAIL_BYTES = 1024
"""What a dead letter's detail is cut to."""


@dataclass(frozen=True, slots=True)
class Properties:
    """AMQP 0-9-1 basic properties, `cluster_id` aside.

    Text that was no UTF-8 on the wire carries its bytes as surrogate escapes, so that it can be
    handed on unchanged; `legible` makes it fit for events and logs.
    """

    content_type: str | None = None
    content_encoding: str | None = None
    headers: Headers = NO_HEADERS
    delivery_mode: int | None = None
    priority: int | None = None
    correlation_id: str | None = None
    reply_to: str | None = None
    expiration: str | None = None
    message_id: str | None = None
    timestamp: int | None = None
    type: str | None = None
    user_id: str | None = None
    app_id: str | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message handed to us once. `tag` dies with the channel; the message id survives."""

    tag: int
    exchange: str
    routing_key: str
    redelivered: bool
    properties: Properties
    body: bytes
    received_at: datetime
    """Aware, UTC."""


class Source(Protocol):
    """Where a delivery came from, and the only place where its tag means anything."""

    @property
    def alive(self) -> bool:
        """Whether the channel is open still; if not, its deliveries went back to the queue."""

    def ack(self, tag: int) -> Awaitable[object]:
        """Tell the broker that a delivery is settled; dropped when the channel is gone.

        What it returns is done, later, once the ack has left the process, or cannot any more: even
        a process killed right then has acked.
        """

    def give_back(self) -> None:
        """Return every unacked delivery, in order, and take them again later."""


@dataclass(frozen=True, slots=True)
class Publication:
    """One message to publish; `exchange` "" is the default one, which routes to a queue."""

    exchange: str
    routing_key: str
    body: bytes
    properties: Properties


class ConfirmResult(Enum):
    """What the broker said of a publication."""

    CONFIRMED = "confirmed"
    REFUSED = "refused"
    """Nacked: a queue bound to the exchange would not have it."""
    UNROUTABLE = "unroutable"
    """Confirmed and returned: no queue is bound."""
    UNWANTED = "unwanted"
    """Not published: the delivery went back to the queue before the broker could be reached."""


def legible(text: str | None) -> str | None:
    """`text` without what JSON and logs cannot carry (surrogates), marked where it was."""
    if text is None or text.isascii():
        return text
    return text.encode("utf-8", "replace").decode("utf-8")


def fit(properties: Properties, room: int) -> tuple[Properties, tuple[str, ...]]:
    """Properties whose header table is at most `room` bytes, and the names of what was left out.

    For connections that carry less than RabbitMQ's default. The publisher's own headers go, the
    largest first; a dead letter's detail then says how many.
    If our own are too large all the same, the detail is cut.
    """
    detail = properties.headers.text(DETAIL_HEADER)
    if detail is None:
        headers, left_out = properties.headers.within(room, keeping=OWN_PREFIX)
        return replace(properties, headers=headers), left_out
    most = properties.headers.merged({DETAIL_HEADER: _noted(detail, 2**31)})
    spare = len(most.table) - len(properties.headers.table)
    headers, left_out = properties.headers.within(room - spare, keeping=OWN_PREFIX)
    said = _noted(detail, len(left_out)) if left_out else detail
    excess = len(headers.merged({DETAIL_HEADER: said}).table) - room
    if excess > 0:
        said = _cut(said, max(0, len(said.encode()) - excess))
    return replace(properties, headers=headers.merged({DETAIL_HEADER: said})), left_out


def _noted(detail: str, count: int) -> str:
    note = f" (left out, for the connection carries no more: {count} of its headers)"
    return _cut(detail, DETAIL_BYTES - len(note)) + note


def _cut(text: str, most: int) -> str:
    return text.encode("utf-8", "replace")[:most].decode("utf-8", "ignore")
