"""What makes a repeat: the same account, message id, body and redrive count.

A dead letter that comes back by another hand than `redrive` (a shovel, the management UI, a
time to live) still carries its letter's headers. It is that edit sent again: it counts as one
redrive more than its header says, so that it is never a repeat of its own rejection.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha1, sha256
from typing import TYPE_CHECKING
from uuid import UUID

from schemas.names import EVENT_ID_HEADER, REDRIVES_HEADER
from worker.core.message import legible

if TYPE_CHECKING:
    from worker.core.message import Delivery

NAMESPACE = UUID("6e6f7c0a-58f5-5a0e-9d3b-5d3c0a3f8f61")
"""Our own namespace for event ids (RFC 9562, version 5)."""
NO_ACCOUNT = "-"
LETTER_PREFIX = "taskedit-"
"""What the names of a dead letter's own headers begin with."""
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

    def event_id(self, outcome: str) -> str:
        """The id of the event that tells this outcome, the same for every repeat.

        A UUID of version 5 (RFC 9562), put together here because `uuid.uuid5` takes three times
        as long, twice an edit.
        """
        parts = (self.account, self.message_id, self.digest.hex(), str(self.redrives), outcome)
        name = "\x1f".join(parts).encode()
        h = sha1(NAMESPACE.bytes + name, usedforsecurity=False).hexdigest()
        variant = "89ab"[int(h[16], 16) & 3]
        return f"{h[:8]}-{h[8:12]}-5{h[13:16]}-{variant}{h[17:20]}-{h[20:32]}"


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
    return stated_redrives(delivery) + (returned_as(delivery) is not None)


def stated_redrives(delivery: Delivery) -> int:
    """The redrive count that the message's header states; 0 without one."""
    headers = delivery.properties.headers
    text = headers.text(REDRIVES_HEADER) if headers.table else None
    return int(text) if text and _COUNT.fullmatch(text) else 0
