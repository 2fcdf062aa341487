"""How a redrive is to go, and how far it has come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worker.core.pacing import Rate
    from worker.letters.steps import Step


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast to go, and what to wait for."""

    rates: tuple[Rate, ...] = ()
    """None at all: as fast as RabbitMQ takes them."""
    canary: Step | None = None
    """Wait for the outcomes of so many first, then of twice as many, and so on."""
    patience: float = 60.0
    """Seconds to wait for the next outcome."""
    hold: float = 900.0
    """Seconds that letters are kept at most before they are given back and taken anew."""


@dataclass(slots=True)
class Done:
    """What has become of the letters of a redrive so far."""

    sent: int = 0
    """Confirmed by a queue, and taken out."""
    copies: int = 0
    """Taken out and not sent, for they had been, and were settled."""
    applied: int = 0
    """Of those sent, as far as their outcome was waited for; `rejected` likewise."""
    rejected: int = 0
    unroutable: int = 0
    """No queue would have them; they stay where they are, as do the `refused`."""
    refused: int = 0
    gone: int = 0
    """Not in the queue any more: somebody else has taken them out."""
    unsure: int = 0
    """Sent without a confirm before the end: still in the queue, and maybe in their lane too."""
    stopped: str = ""
    """Why it stopped early; the rest of a sentence."""

    @property
    def moved(self) -> int:
        """How many letters there is nothing more to do about."""
        return self.sent + self.copies + self.unroutable + self.refused + self.gone

    @property
    def is_good(self) -> bool:
        """Whether all went as it was wished."""
        return not (self.rejected or self.unroutable or self.refused or self.unsure or self.stopped)
