"""A dead letter as the message that it is once more: what a redrive publishes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from schemas import Bounds, names
from worker.core.decode import decode, unread
from worker.core.delivery import PERSISTENT, Delivery, Publication
from worker.core.identity import LETTER_PREFIX

if TYPE_CHECKING:
    from schemas import Names
    from worker.core.identity import Identity
    from worker.core.place import Place
    from worker.letters.letter import Letter

_BROKERS_OWN = "x-"
_NOT_CARRIED = frozenset(("CC", "BCC"))
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_ANY = Bounds()


@dataclass(frozen=True, slots=True)
class Again:
    """A letter to be sent again, and who it will be to the lane."""

    publication: Publication
    identity: Identity | None
    """As the lane will see it; None if that cannot be told. Of an `unknown_app` letter the
    account is not known before it has found its lane."""


def again(
    letter: Letter,
    delivery: Delivery,
    to: Names,
    *,
    redrives: int,
    body: bytes | None = None,
    place: Place | None = None,
) -> Again:
    """The letter as a message with that redrive count, and `body` instead of its own if given.

    With `place` the lane calls it only if no newer edit of its job has been applied; else its new
    letter has the reason of this one.

    It goes back to its own lane's queue; of no account, to the exchange by its routing key. One
    that never had a message id gets its event's id for one: so a copy that a killed command
    leaves is a repeat of it, and the lane settles it once.
    """
    had = delivery.properties
    own = had.headers.kept(without=_NOT_CARRIED, prefix=LETTER_PREFIX).kept(
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
    exchange, key = to.exchange, letter.routing_key or delivery.routing_key
    if letter.account is not None:
        exchange, key = "", to.lane(letter.account)
    publication = Publication(exchange, key, delivery.body if body is None else body, properties)
    return Again(publication, _identity(publication, letter.account))


def _identity(publication: Publication, account: str | None) -> Identity | None:
    """Who the message will be: read as the lane reads it."""
    delivery = Delivery(
        0,
        publication.exchange,
        publication.routing_key,
        redelivered=False,
        properties=publication.properties,
        body=publication.body,
        received_at=_NEVER,
    )
    try:
        return decode(delivery, account, _ANY).head.identity
    except Exception:  # noqa: BLE001 (a bug may be what it died of)
        return unread(delivery, account).identity
