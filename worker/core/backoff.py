"""How long to wait before the next try."""

from __future__ import annotations

from datetime import timedelta

LONGEST = timedelta(seconds=60)
_FIRST = timedelta(seconds=1)
_DOUBLINGS = 6  # 64 s is above LONGEST


def backoff(attempt: int, *, chance: float) -> timedelta:
    """About 1, 2, 4 … 60 s after the given attempt (from 1).

    `chance`, from 0 to 1, spreads the wait over plus and minus a quarter, so that many that
    failed together do not come back together.
    """
    exact = _FIRST * (1 << min(attempt - 1, _DOUBLINGS))
    return min(exact * (0.75 + chance / 2), LONGEST)


def probe_interval(probes: int) -> timedelta:
    """1, 2, 4 … 60 s: the wait of a suspended lane before its next probe, after `probes`."""
    return min(_FIRST * (1 << min(probes, _DOUBLINGS)), LONGEST)
