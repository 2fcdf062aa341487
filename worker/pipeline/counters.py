"""What a lane counts of itself: plain numbers, read by metrics and `/lanes` at their leisure.

The lane's thread alone writes them; other threads read single values, which needs no lock.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

CALL_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
STATUSES_AT_MOST = 200
SKEW_HOLDS = 300.0
"""Seconds."""
OUTCOME_BOUNDS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0, 86400.0)


@dataclass(slots=True)
class Histogram:
    """Counts of durations in seconds, by upper bound; the last count is of all above."""

    bounds: tuple[float, ...]
    counts: list[int] = field(init=False)
    total: float = 0.0

    def __post_init__(self) -> None:
        """Start with nothing counted."""
        self.counts = [0] * (len(self.bounds) + 1)

    def add(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds


@dataclass(slots=True)
class LaneCounters:
    """Since the process started."""

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Settled edits by outcome and reason ("" unless rejected)."""
    calls: Counter[str] = field(default_factory=Counter)
    """Calls by status: the API's, ``http:<code>``, ``none`` (unanswered) or ``crashed``."""
    call_seconds: Histogram = field(default_factory=lambda: Histogram(CALL_BOUNDS))
    outcome_seconds: Histogram = field(default_factory=lambda: Histogram(OUTCOME_BOUNDS))
    """From publishing (the message's timestamp, else its receipt) to the ack."""
    retries: int = 0
    repeats: int = 0
    handed_on: int = 0
    """Edits given to the lane of the account that their appId belongs to now."""
    conflicts: int = 0
    """Message ids seen again with another body."""
    redeliveries: int = 0
    deliveries: int = 0
    throttles: int = 0
    throttled_seconds: float = 0.0
    suspensions: int = 0
    give_backs: int = 0
    last_success: float | None = None
    """When an edit was applied last, in epoch seconds."""
    clock_skew: float = 0.0
    """How far the API's clock was found ahead of ours, in seconds."""
    clocks_compared: float | None = None
    """When, in monotonic seconds; None before the first answer with a date."""

    def skew(self, now: float) -> float | None:
        """How far the API's clock is ahead of ours; None where no answer of late has told it.

        Either clock may have been mended since, so what is older than `SKEW_HOLDS` is no news.
        """
        compared = self.clocks_compared
        fresh = compared is not None and now - compared <= SKEW_HOLDS
        return self.clock_skew if fresh else None

    def count_call(self, status: str) -> None:
        """Count one call; statuses beyond any sensible number are counted together."""
        known = status in self.calls or len(self.calls) < STATUSES_AT_MOST
        self.calls[status if known else "other"] += 1
