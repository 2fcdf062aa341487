"""How much time has passed in the world, read from clocks of which each can miss some of it."""

from __future__ import annotations

from typing import NamedTuple


class Moment(NamedTuple):
    """Three clocks read together, in seconds; each counts from a start of its own."""

    monotonic: float
    """Stands still while the machine is suspended."""
    boot: float
    """Goes on then, but stands still while a virtual machine is paused from outside."""
    wall: float
    """Is right again after either, but can be set, forwards and back."""


def elapsed(since: Moment, now: Moment) -> float:
    """Seconds from `since` to `now` at the most: each clock can have missed some, so the largest.

    Whoever relies on it gives up what it holds too early when the wall clock is set forwards.
    Keeping it too long is what would do harm.
    """
    return max(now[0] - since[0], now[1] - since[1], now[2] - since[2])
