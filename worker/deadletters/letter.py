"""A dead letter read from its headers, and made into the message that a redrive publishes."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING

from schemas import Bounds, names
from worker.core.decode import message_info, unread
from worker.core.identity import (
    identity,
    place_in,
    redrive_count,
    stated_redrives,
)
from worker.core.message import OWN_PREFIX, PERSISTENT, Delivery, Properties, Publication

if TYPE_CHECKING:
    from schemas import Names
    from worker.core.decode import MessageInfo
    from worker.core.identity import Identity, Place


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
    head: MessageInfo
    """What the lane read of it."""
    identity: Identity | None
    """Who it is, apart from the redrive count, to the lane that takes it again."""
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


def earlier_events(letter: Letter) -> frozenset[str]:
    """The ids of the events that the same message had when it died before."""
    if letter.identity is None:
        return frozenset()
    message = letter.identity
    before = (replace(message, redrives=count) for count in range(letter.redrives))
    # one without an id of its own goes by that of its first event since it was sent again
    return frozenset((message.message_id, *(one.event_id("rejected") for one in before)))


_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


def read(delivery: Delivery, place: int) -> Letter:
    """The letter that a delivery of the dead letters' queue is. Raises nothing."""
    said = delivery.properties.headers.texts()
    account = said.get(names.ACCOUNT_HEADER, "")
    event_id = said.get(names.EVENT_ID_HEADER, "")
    # as it was read when it was rejected: of its headers only ours would matter
    before = _without_headers(delivery)
    head = _head(before, account if _ACCOUNT.match(account) else None)
    stated = said.get(names.REDRIVES_HEADER)
    count = redrive_count(stated) if stated else stated_redrives(delivery)
    who = head.identity
    if who is None and event_id:  # one without an id of its own is sent again under its event's
        who = identity(before, head.account, event_id)
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
        identity=who,
        key=sha256(copy.encode(errors="replace") + delivery.body).digest(),
        size=len(delivery.body),
    )


def _without_headers(delivery: Delivery) -> Delivery:
    """Written out, for `replace` takes three times as long."""
    had = delivery.properties
    return Delivery(
        delivery.tag,
        delivery.exchange,
        delivery.routing_key,
        delivery.redelivered,
        Properties(
            content_type=had.content_type,
            correlation_id=had.correlation_id,
            message_id=had.message_id,
        ),
        delivery.body,
        delivery.received_at,
    )


def _head(delivery: Delivery, account: str | None) -> MessageInfo:
    """As the lane would read it; a letter may well be dead because reading it fails."""
    try:
        return message_info(delivery, account, _ANY)
    except Exception:  # noqa: BLE001 (it died as `internal`, and has to be looked at all the more)
        return unread(delivery, account)


def _instant(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo else None


_BROKERS_OWN = "x-"
_NOT_CARRIED = frozenset(("CC", "BCC"))


@dataclass(frozen=True, slots=True)
class Resubmission:
    """A letter to be sent again, and who it will be to the lane."""

    publication: Publication
    identity: Identity | None
    """As the lane will see it; None if that cannot be told. Of an `unknown_app` letter the
    account is not known before it has found its lane."""


def to_publication(
    letter: Letter,
    delivery: Delivery,
    to: Names,
    *,
    redrives: int,
    body: bytes | None = None,
    place: Place | None = None,
) -> Resubmission:
    """The letter as a message with that redrive count, and `body` instead of its own if given.

    With `place` the lane calls it only if no newer edit of its job has been applied; else its new
    letter has the reason of this one.

    It goes back to its own lane's queue; of no account, to the exchange by its routing key. One
    that never had a message id gets its event's id for one: so a copy that a killed command
    leaves is a repeat of it, and the lane settles it once.
    """
    had = delivery.properties
    own = had.headers.kept(without=_NOT_CARRIED, prefix=OWN_PREFIX).kept(
        without=_NOT_CARRIED, prefix=_BROKERS_OWN
    )
    judged: dict[str, str] = {}
    if place is not None:
        judged = {names.PLACE_HEADER: str(place), names.REASON_HEADER: letter.reason}
    unnamed = letter.head.message_id is None
    properties = replace(
        had,
        headers=own.merged({names.REDRIVES_HEADER: str(redrives)} | judged),
        delivery_mode=PERSISTENT,
        expiration=None,
        user_id=None,
        message_id=(letter.event_id or None) if unnamed else had.message_id,
    )
    exchange, key = to.exchange, names.edit_key(letter.routing_key or delivery.routing_key)
    if letter.account is not None:
        exchange, key = "", to.lane(letter.account)
    publication = Publication(exchange, key, delivery.body if body is None else body, properties)
    return Resubmission(publication, _identity(publication, letter.account))


def _identity(publication: Publication, account: str | None) -> Identity | None:
    """Who the message will be: read as the lane reads it."""
    delivery = as_delivered(publication)
    try:
        return message_info(delivery, account, _ANY).identity
    except Exception:  # noqa: BLE001 (a bug may be what it died of)
        return unread(delivery, account).identity


def as_delivered(publication: Publication) -> Delivery:
    """A publication as it would be delivered, to be read only; nobody has received it."""
    return Delivery(
        0,
        publication.exchange,
        publication.routing_key,
        redelivered=False,
        properties=publication.properties,
        body=publication.body,
        received_at=_LONG_AGO,
    )
