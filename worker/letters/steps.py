"""Steps of a redrive, each twice as large as the one before."""

from __future__ import annotations

from dataclasses import dataclass, replace

GROWTH = 2


@dataclass(frozen=True, slots=True)
class Step:
    """So many letters sent together, and what has become of them."""

    size: int
    stop_at: float
    """The share of letters of a step, 0 to 1, that may not fail."""
    applied: int = 0
    failed: int = 0
    """Rejected, or not taken by any queue."""

    @property
    def is_bad(self) -> bool:
        """Whether too many have failed to go on."""
        return self.failed > 0 and self.failed >= self.stop_at * self.size

    def heard(self, *, applied: bool) -> Step:
        """After one more outcome."""
        if applied:
            return replace(self, applied=self.applied + 1)
        return replace(self, failed=self.failed + 1)

    def next(self) -> Step:
        """The step after this one: twice as many."""
        return Step(self.size * GROWTH, self.stop_at)

    def of(self, left: int) -> Step:
        """The same with no more letters than there are."""
        return replace(self, size=min(self.size, left))
