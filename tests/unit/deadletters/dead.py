"""Dead letters and events as the worker makes them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from schemas import Bounds, Reason, names
from tests.unit.builders import NOW, SIGNED, delivery
from worker.core.decode import decode
from worker.core.message import Delivery
from worker.core.settlement import settle
from worker.core.verdict import Applied, Rejected
from worker.deadletters.letter import read

if TYPE_CHECKING:
    from datetime import datetime

    from worker.deadletters.letter import Letter

REFUSED = Rejected(Reason.API_REJECTED, "the API answered -33", status="-33")
DONE = Applied("0")


@dataclass(frozen=True)
class Ended:
    """What a message leaves behind: its event, and its letter if it was rejected."""

    event: bytes
    dead: Delivery

    @property
    def letter(self) -> Letter:
        return read(self.dead, 1)


def ended(
    message: Delivery | None = None,
    verdict: Applied | Rejected = REFUSED,
    *,
    account: str | None = "acme",
    received: datetime = NOW,
    after: timedelta = timedelta(seconds=1),
) -> Ended:
    """A message (an edit of job 123 without one) that has come to its end."""
    message = replace(message or delivery(), received_at=received)
    settlement = settle(
        message,
        decode(message, account, Bounds()).head,
        verdict,
        attempts=1,
        now=received + after,
        chance_id=lambda: "by-chance",
        by=SIGNED,
    )
    letter = settlement.letter or settlement.event
    dead = Delivery(
        7, letter.exchange, letter.routing_key, True, letter.properties, letter.body, received
    )
    return Ended(settlement.event.body, dead)


def sent_again(dead: Delivery, count: int = 1) -> Delivery:
    """The letter as the lane gets it once more."""
    own = dead.properties.headers.kept(without=frozenset(), prefix="taskedit-")
    counted = own.merged({names.REDRIVES_HEADER: str(count)})
    return replace(dead, properties=replace(dead.properties, headers=counted))
