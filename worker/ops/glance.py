"""A look at what a lane holds, from another thread than the lane's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worker.core.order import Window
    from worker.lane import Lane

LOOKS = 5


@dataclass(frozen=True, slots=True)
class Glance:
    """What a lane holds at about this moment."""

    held: int
    """Delivered and not settled."""
    waiting: int
    """Delivered and not being called or settled."""
    oldest: float | None
    """Since when the longest held edit is held, in monotonic seconds."""


def glance(lane: Lane) -> Glance:
    """What `lane` holds; its own thread may be changing it meanwhile, and is not waited for."""
    held = len(lane.window)
    return Glance(held, max(0, held - lane.window.busy), _oldest(lane.window))


def _oldest(window: Window) -> float | None:
    """Looking through what another thread changes can fail; at once again it hardly ever does."""
    for _ in range(LOOKS):
        try:
            return window.oldest()
        except (RuntimeError, IndexError):
            continue
    return None
