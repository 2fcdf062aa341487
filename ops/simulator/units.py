"""Durations and rates as people write them: `50ms`, `1.5s`, `20/s,600/m`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

_DURATION = re.compile(r"(-?\d+(?:\.\d+)?)\s*(ms|s|m|h)?")
_LIMIT = re.compile(r"(\d+)\s*/\s*(s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `count` calls in any window of `window` (half open)."""

    count: int
    window: timedelta

    @property
    def per_second(self) -> float:
        """The rate that this limit allows in the long run, in calls a second."""
        return self.count / self.window.total_seconds()


def duration(text: str | float | timedelta) -> timedelta:
    """`50ms`, `-1.5s`, `2m`, `1h`; a bare number is seconds. ValueError for anything else."""
    if isinstance(text, timedelta):
        return text
    found = _DURATION.fullmatch(str(text).strip())
    if found is None:
        message = f"not a duration: {text!r} (write 50ms, 1.5s, 2m or a number of seconds)"
        raise ValueError(message)
    return timedelta(seconds=float(found[1]) * _SECONDS[found[2] or "s"])


def rate(text: str) -> tuple[Limit, ...]:
    """`20/s` or several limits at once, `20/s,600/m`; an empty text is no limit."""
    return tuple(_limit(part.strip()) for part in text.split(",") if part.strip())


def _limit(text: str) -> Limit:
    found = _LIMIT.fullmatch(text)
    if found is None or int(found[1]) < 1:
        message = f"not a rate: {text!r} (write 20/s, 600/m or 20/s,600/m)"
        raise ValueError(message)
    return Limit(int(found[1]), timedelta(seconds=_SECONDS[found[2]]))
