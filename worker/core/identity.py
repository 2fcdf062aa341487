"""What makes two messages the same edit, and where an edit stands in its lane's order.

*Identity*: account, message id, body and redrive count. A dead letter that comes back by another
hand than `redrive` (a shovel, the management UI, a time to live) still carries its letter's
headers. It is that edit sent again: it counts as one redrive more than its header says, so that it
is never a repeat of its own rejection.

*Place*: replicas' clocks may be hours apart, so "received later" proves nothing. The journal is one
for all: who takes a lane reads up to a marker of its own, and whoever takes it afterwards has a
marker with a higher offset. Within one holding, the lane's own count tells the order.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from hashlib import sha1, sha256
from typing import TYPE_CHECKING
from uuid import UUID

from schemas import Reason, names
from schemas.names import EVENT_ID_HEADER, REDRIVES_HEADER
from worker.core.message import OWN_PREFIX, legible
from worker.core.verdict import Rejected

if TYPE_CHECKING:
    from worker.core.message import Delivery


NAMESPACE = UUID("6e6f7c0a-58f5-5a0e-9d3b-5d3c0a3f8f61")
"""Our own namespace for event ids (RFC 9562, version 5)."""
NO_ACCOUNT = "-"
_COUNT = re.compile("[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a message is, whichever delivery brought it. Hashable; equal means a repeat."""

    account: str
    """The account's name, or `NO_ACCOUNT`."""
    message_id: str
    digest: bytes
    """SHA-256 of the body as published."""
    redrives: int
    _event_ids: dict[str, str] = field(default_factory=dict, init=False, repr=False, compare=False)
    """Those asked for already: an edit's is looked for twice and published once."""

    def event_id(self, outcome: str) -> str:
        """The id of the event that tells this outcome, the same for every repeat.

        A UUID of version 5 (RFC 9562), put together here because `uuid.uuid5` takes three times
        as long, twice an edit.
        """
        known = self._event_ids.get(outcome)
        if known is not None:
            return known
        parts = (self.account, self.message_id, self.digest.hex(), str(self.redrives), outcome)
        name = "\x1f".join(parts).encode()
        h = sha1(NAMESPACE.bytes + name, usedforsecurity=False).hexdigest()
        variant = "89ab"[int(h[16], 16) & 3]
        made = f"{h[:8]}-{h[8:12]}-5{h[13:16]}-{variant}{h[17:20]}-{h[20:32]}"
        self._event_ids[outcome] = made
        return made


def identity(delivery: Delivery, account: str | None, message_id: str | None) -> Identity | None:
    """The identity of a delivery; None without a message id, for then nothing is a repeat.

    `message_id`: the AMQP property, or the id of the CloudEvent that carried the edit.
    """
    if not message_id:
        return None
    return Identity(
        account or NO_ACCOUNT,
        legible(message_id) or "",
        sha256(delivery.body).digest(),
        redrives(delivery),
    )


def stated_message_id(delivery: Delivery) -> str | None:
    """The message id property; of a returned letter that never had one, its event's id."""
    return legible(delivery.properties.message_id) or legible(returned_as(delivery))


def returned_as(delivery: Delivery) -> str | None:
    """The event id that a dead letter carries when it comes back by another hand; None if not one.

    `redrive` removes the letter's headers from what it sends.
    """
    headers = delivery.properties.headers
    return headers.text(EVENT_ID_HEADER) if headers.table else None


def redrives(delivery: Delivery) -> int:
    """How often this message has been sent again after it was rejected."""
    if OWN_PREFIX.encode() not in delivery.properties.headers.table:
        return 0
    return stated_redrives(delivery) + (returned_as(delivery) is not None)


def stated_redrives(delivery: Delivery) -> int:
    """The redrive count that the message's header states; 0 without one."""
    headers = delivery.properties.headers
    return redrive_count(headers.text(REDRIVES_HEADER) if headers.table else None)


def redrive_count(text: str | None) -> int:
    """The count that a header's text states; 0 if it states none."""
    return int(text) if text and _COUNT.fullmatch(text) else 0


_PLACE = re.compile(r"([0-9]{1,18})\.([0-9]{1,18})")


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A greater one is that of a newer edit of the same lane."""

    term: int
    """The journal's offset of the marker that the lane's holder read up to."""
    number: int
    """How many edits the holder had been delivered, this one included."""

    def __str__(self) -> str:
        return f"{self.term}.{self.number}"


OLDEST = Place(0, 0)


def place_in(text: str | None) -> Place | None:
    """The place written as ``4711.5``; None if it is none."""
    found = _PLACE.fullmatch(text or "")
    return Place(int(found[1]), int(found[2])) if found else None


def place_of(delivery: Delivery, stamped: Place | None) -> Place | None:
    """The place of an edit: `stamped`, or of one sent again after a rejection the one it had.

    A redrive that is to be sent even if superseded has no place with it, and is the newest. A
    returned letter without one, or with one of a journal that is no more, is the oldest.
    `stamped` is None while there is no journal.
    """
    if not redrives(delivery):
        return stamped
    had = place_in(delivery.properties.headers.text(names.PLACE_HEADER))
    if had is None:
        return OLDEST if returned_as(delivery) is not None else stamped
    return OLDEST if stamped is not None and had.term > stamped.term else had


def superseded(delivery: Delivery, by: str | None) -> Rejected:
    """The verdict on an edit sent again whose job has a newer applied edit: message id `by`.

    Its reason stays that of its first rejection, for nothing else was ever wrong with it.
    """
    said = delivery.properties.headers.text(names.REASON_HEADER)
    known = {reason.value: reason for reason in Reason}
    newer = f"a newer edit of its job has been applied since ({legible(by) or 'no message id'})"
    detail = f"not called again: superseded, {newer}; --even-if-superseded sends it all the same"
    return Rejected(known.get(said or "", Reason.INVALID), detail)
