"""How fast an account may be called: slots evenly spaced, never more than a window allows.

Seconds here are floats of one monotonic clock; everywhere else durations have a type.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.core.past_calls import PastCalls, merged

if TYPE_CHECKING:
    from collections.abc import Iterable

MARGIN = 0.015
"""How much slower than the limit: room for what the network adds to the spacing of calls."""
LATENESS = MARGIN / 3
"""The share of a window by which a late slot may be caught up: the rest stays for the network."""
FINEST = 1000
"""Calls a second up to which it makes sense to look when each one leaves."""
COUNTED = 60.0
"""Seconds of a window from which on what was called under other limits is worth counting."""
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LIMIT = re.compile(r"([1-9][0-9]{0,5})/([smhd])")


@dataclass(frozen=True, slots=True, order=True)
class Rate:
    """At most `calls` in any window of `seconds`."""

    calls: int
    seconds: float

    def __str__(self) -> str:
        unit = next(unit for unit, seconds in _UNITS.items() if seconds == self.seconds)
        return f"{self.calls}/{unit}"


def rates(text: str) -> tuple[Rate, ...]:
    """``20/s,600/m`` as limits, the shortest window first.

    Raises `ValueError` with one sentence that says what is wrong and what a limit looks like.
    """
    limits = []
    for part in text.split(","):
        found = _LIMIT.fullmatch(part.strip())
        if found is None:
            form = "write calls per s, m, h or d, such as 20/s,600/m"
            message = f"{part.strip()!r} is not a valid rate: {form}"
            raise ValueError(message)
        limits.append(Rate(int(found[1]), _UNITS[found[2]]))
    windows = [limit.seconds for limit in limits]
    if len(set(windows)) != len(windows):
        message = f"{text!r} limits the same window twice"
        raise ValueError(message)
    return tuple(sorted(limits, key=lambda limit: limit.seconds))


class SendLimiter:
    """When calls really left, held to the shortest limit: the pacer's slots, and then the world.

    A thread that was kept from the processor makes its call late, and those behind it are on
    time: together they can be one too many for a window. Whoever is about to call asks here.
    """

    __slots__ = ("_left", "_seconds")

    def __init__(self, limit: Rate) -> None:
        self._left: deque[float] = deque(maxlen=limit.calls)
        self._seconds = limit.seconds * (1 + MARGIN - LATENESS)

    def wait(self, now: float) -> float:
        """Seconds until one more may leave; 0 when it may now."""
        if len(self._left) < (self._left.maxlen or 0):
            return 0.0
        return max(0.0, self._left[0] + self._seconds - now)

    def leave(self, now: float) -> None:
        """One leaves now."""
        self._left.append(now)


def send_limiter(limits: tuple[Rate, ...]) -> SendLimiter | None:
    """For the shortest of the limits; None if its slots are closer than threads can be held to."""
    shortest = limits[0]
    return SendLimiter(shortest) if shortest.calls / shortest.seconds <= FINEST else None


class Pacer:
    """Hands out slots that keep to several limits at once.

    The shortest window sets an even spacing, with `MARGIN`; it is caught up when a slot was
    taken late, but by no more than `LATENESS` of the window, so idleness buys no burst. Longer
    windows are sliding counts of the slots taken.
    """

    __slots__ = ("_interval", "_lateness", "_next", "_past", "_taken", "limits")

    def __init__(
        self, limits: tuple[Rate, ...], *, now: float, taken: Iterable[float] | None = None
    ) -> None:
        """Start empty: the first slot is one interval away.

        `taken`: when calls were made before, as known from the journal; None counts every
        longer window as used up just now.
        """
        shortest, *longer = limits
        self.limits = limits
        self._interval = shortest.seconds * (1 + MARGIN) / shortest.calls
        self._lateness = shortest.seconds * LATENESS
        self._next = now + self._interval
        self._past = PastCalls()
        before = None if taken is None else sorted(taken)
        if before is None and longer:
            self._past.note(now, max(rate.calls for rate in longer))
        self._taken = [
            (rate, deque([now] * rate.calls if before is None else before, maxlen=rate.calls))
            for rate in longer
        ]

    def wait(self, now: float) -> float:
        """Seconds until a slot may be taken; 0 when one may be taken now."""
        wait = self._next - now
        for rate, taken in self._taken:
            if len(taken) == rate.calls:
                wait = max(wait, taken[0] + rate.seconds * (1 + MARGIN) - now)
        return max(wait, 0.0)

    def used_up(self, now: float) -> tuple[Rate, float] | None:
        """The limit that allows no call now and until when, if one beyond the spacing does not.

        Callable from any thread.
        """
        ends = [
            (taken[0] + rate.seconds * (1 + MARGIN), rate)
            for rate, taken in self._taken
            if len(taken) == rate.calls
        ]
        until, rate = max(ends, default=(now, self.limits[0]))
        return (rate, until) if until > now else None

    def take(self, now: float) -> None:
        """Use a slot now; only after `wait` gave 0."""
        self._next = max(self._next, now - self._lateness) + self._interval
        self._past.note(now)
        for _, taken in self._taken:
            taken.append(now)

    def resumed(self, *, now: float, taken: Iterable[float] | None) -> Pacer:
        """A pacer that starts empty, after a while in which others may have called.

        `taken`: as when made. In the longer windows this one's own slots count as well, for the
        journal may not have been there to tell of them.
        """
        new = Pacer(self.limits, now=now, taken=taken)
        for (_, own), (_, known) in zip(self._taken, new._taken, strict=True):
            both = list(merged(reversed(own), reversed(known)))
            known.clear()
            known.extend(reversed(both))
        new._past = self._past
        return new

    def replaced(
        self, limits: tuple[Rate, ...], *, now: float, taken: Iterable[float] = ()
    ) -> Pacer:
        """A pacer for other limits, in whose windows the calls of the past count.

        They are those that this one knows of, and `taken`, as known from the journal.
        """
        new = Pacer(limits, now=now, taken=())
        known = sorted(taken, reverse=True)
        new._taken = []
        # Of a long window the shortest counts too: its spacing knows nothing of a faster past.
        for rate in (rate for rate in limits if rate is not limits[0] or rate.seconds >= COUNTED):
            both = list(merged(self._past.newest(rate.calls), known[: rate.calls]))
            new._taken.append((rate, deque(reversed(both), maxlen=rate.calls)))
        new._past = self._past
        return new
