"""Where an edit stands in its lane's order, told without a clock.

Replicas' clocks may be hours apart, so that "received later" proves nothing. The journal is one for
all: who takes a lane reads up to a marker of its own, and whoever takes it afterwards has a marker
with a higher offset. Within one holding, the lane's own count tells the order.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from schemas import Reason, names
from worker.core.identity import redrives, returned_as
from worker.core.message import legible
from worker.core.verdict import Rejected

if TYPE_CHECKING:
    from worker.core.message import Delivery

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


def place(text: str | None) -> Place | None:
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
    had = place(delivery.properties.headers.text(names.PLACE_HEADER))
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
