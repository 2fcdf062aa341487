"""A dead letter read: what it is, why it died, whence and when."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING

from schemas import Bounds, names
from worker.core.decode import decode, unread
from worker.core.delivery import legible
from worker.core.identity import LETTER_PREFIX, identity, stated_redrives
from worker.core.place import place as place_in

if TYPE_CHECKING:
    from worker.core.decode import Letterhead
    from worker.core.delivery import Delivery
    from worker.core.headers import Headers
    from worker.core.identity import Identity
    from worker.core.place import Place

_STRING = b"S"
_ACCOUNT = re.compile(names.ACCOUNT_PATTERN)
_ANY = Bounds()


@dataclass(frozen=True, slots=True)
class Letter:
    """What is known of a dead letter without its body.

    All texts are fit to be printed as JSON. What a header does not say, or says in another form
    than ours, is empty or None: anybody may put a message into that queue.
    """

    place: int
    """Where it lies in the queue, from 1."""
    reason: str
    detail: str
    status: str
    attempts: str
    account: str | None
    exchange: str
    """Where it had been published; `routing_key` likewise."""
    routing_key: str
    received_at: datetime | None
    dead_at: datetime | None
    event_id: str
    redrives: int
    stood: Place | None
    """Where it stood in its lane's order; None without a journal, or if it was in no lane."""
    version: str
    head: Letterhead
    """What the lane read of it."""
    identity: Identity | None
    """Who it is, apart from the redrive count, to the lane that takes it again: see `again`."""
    key: bytes
    """The same for copies of one letter, which a crash can leave, and for nothing else."""
    size: int
    """Of its body, in bytes."""

    @property
    def name(self) -> str:
        """What a person would call it by: its message id, else its event's, else its place."""
        return self.head.message_id or self.event_id or f"#{self.place}"

    @property
    def order(self) -> tuple[datetime, int]:
        """By when it died: so the letters of one job are in the order of its edits."""
        return self.dead_at or _LONG_AGO, self.place


_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


def read(delivery: Delivery, place: int) -> Letter:
    """The letter that a delivery of the dead letters' queue is. Raises nothing."""
    said = _texts(delivery.properties.headers)
    account = said.get(names.ACCOUNT_HEADER, "")
    event_id = said.get(names.EVENT_ID_HEADER, "")
    before = _before_death(delivery)
    head = _head(before, account if _ACCOUNT.match(account) else None)
    count = stated_redrives(delivery)
    copy = f"{event_id}\x1f{delivery.properties.message_id or ''}\x1f{count}\x1f"
    return Letter(
        place=place,
        reason=said.get(names.REASON_HEADER, ""),
        detail=said.get(names.DETAIL_HEADER, ""),
        status=said.get(names.API_STATUS_HEADER, ""),
        attempts=said.get(names.ATTEMPTS_HEADER, ""),
        account=head.account,
        exchange=said.get(names.EXCHANGE_HEADER, ""),
        routing_key=said.get(names.ROUTING_KEY_HEADER, ""),
        received_at=_instant(said.get(names.RECEIVED_AT_HEADER, "")),
        dead_at=_instant(said.get(names.DEAD_AT_HEADER, "")),
        event_id=event_id,
        redrives=count,
        stood=place_in(said.get(names.PLACE_HEADER)),
        version=said.get(names.VERSION_HEADER, ""),
        head=head,
        identity=head.identity or _by_event(before, head.account, event_id),
        key=sha256(copy.encode(errors="replace") + delivery.body).digest(),
        size=len(delivery.body),
    )


def _before_death(delivery: Delivery) -> Delivery:
    """The message without what its letter says of it, as it was when it was rejected."""
    own = delivery.properties.headers.kept(without=frozenset(), prefix=LETTER_PREFIX)
    return replace(delivery, properties=replace(delivery.properties, headers=own))


def _head(delivery: Delivery, account: str | None) -> Letterhead:
    """As the lane would read it; a letter may well be dead because reading it fails."""
    try:
        found = decode(delivery, account, _ANY)
    except Exception:  # noqa: BLE001 (it died as `internal`, and has to be looked at all the more)
        return unread(delivery, account)
    return found.head


def _by_event(delivery: Delivery, account: str | None, event_id: str) -> Identity | None:
    """Of a message without an id: it is sent again under the id of its event."""
    return identity(delivery, account, event_id) if event_id else None


def _texts(headers: Headers) -> dict[str, str]:
    """The headers that are strings."""
    return {
        name: legible(value[5:].decode("utf-8", "surrogateescape")) or ""
        for name, value in headers
        if value[:1] == _STRING
    }


def _instant(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo else None
