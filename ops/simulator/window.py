"""The rate limit: a strict sliding window, exact to the clock."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ops.simulator.units import Limit


class SlidingWindow:
    """Admits a call while no window of any limit's length would hold more than its count.

    A window is half open, (t - length, t]: a call exactly one length after another
    does not share a window with it. Refused calls take no room.
    """

    __slots__ = ("_admitted",)

    def __init__(self, limits: Iterable[Limit]) -> None:
        """Start with no calls seen."""
        self._admitted: tuple[tuple[int, float, deque[float]], ...] = tuple(
            (limit.count, limit.window.total_seconds(), deque()) for limit in limits
        )

    def admit(self, arrived: float) -> bool:
        """Whether the call that arrived now (seconds, never going back) may pass."""
        for count, length, seen in self._admitted:
            while seen and seen[0] <= arrived - length:
                seen.popleft()
            if len(seen) >= count:
                return False
        for _, _, seen in self._admitted:
            seen.append(arrived)
        return True
