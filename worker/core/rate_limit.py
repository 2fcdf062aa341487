"""How fast an account may be called: slots evenly spaced, never more than a window allows.

Seconds here are floats of one monotonic clock; everywhere else durations have a type.

Limits beyond the shortest outlive their holder: the lane reserves slots a few at a time, each block
a message in the journal, and calls only on a block that RabbitMQ has confirmed. Whoever takes the
lane over counts each block as used up. (Events alone would not do: only calls that ended an edit
can be told from them.)
"""

from __future__ import annotations

import re
from collections import Counter, deque
from dataclasses import dataclass, field
from itertools import chain, islice, repeat, zip_longest
from math import inf
from typing import TYPE_CHECKING

from pydantic_core import from_json, to_json

from worker.core.message import PERSISTENT, Properties, Publication

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


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


@dataclass(slots=True, eq=False)
class Departure:
    """A call that leaves: when, in monotonic seconds, to be put right once it has left."""

    at: float


class SendLimiter:
    """When calls really left, held to the shortest limit: the pacer's slots, and then the world.

    A thread that was kept from the processor makes its call late, and those behind it are on
    time: together they can be one too many for a window. Whoever is about to call asks here.
    """

    __slots__ = ("_left", "_seconds")

    def __init__(self, limit: Rate) -> None:
        self._left: deque[Departure] = deque(maxlen=limit.calls)
        self._seconds = limit.seconds * (1 + MARGIN - LATENESS)

    def wait(self, now: float) -> float:
        """Seconds until one more may leave; 0 when it may now."""
        if len(self._left) < (self._left.maxlen or 0):
            return 0.0
        return max(0.0, self._left[0].at + self._seconds - now)

    def leave(self, now: float) -> Departure:
        """One leaves now."""
        departure = Departure(now)
        self._left.append(departure)
        return departure


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


SLOTS_TYPE = "task-edit.slots"
"""The type of such a message. It goes to the journal alone, never to a subscriber."""
VALID_FOR = 5.0
"""Seconds from its publishing in which a block may be used."""
BLOCKS_IN_A_LIMIT = 40
"""A block is at most this part of a limit: what a holder that dies leaves unused is lost."""


@dataclass(slots=True)
class Slots:
    """Blocks that were confirmed and may be used still. Times are monotonic seconds."""

    _blocks: deque[list[float]] = field(default_factory=deque)
    """Until when, and how many slots are left."""

    def add(self, calls: int, until: float) -> None:
        """A block was confirmed."""
        self._blocks.append([until, calls])

    def left(self, now: float) -> int:
        """How many calls may begin on what was reserved."""
        while self._blocks and (self._blocks[0][0] <= now or self._blocks[0][1] < 1):
            self._blocks.popleft()
        return int(sum(left for _, left in self._blocks))

    def use(self) -> None:
        """A call begins, `left` having told of a slot."""
        if self._blocks:
            self._blocks[0][1] -= 1

    def clear(self) -> None:
        """The lane is another's: it counts them as used."""
        self._blocks.clear()


def block(limits: tuple[Rate, ...], left: int, waiting: int) -> int:
    """How many slots to reserve now: 0 if none, `left` being reserved and `waiting` edits there."""
    longer = limits[1:]
    if not longer:
        return 0
    most = max(1, min(rate.calls for rate in longer) // BLOCKS_IN_A_LIMIT)
    return max(0, min(most, waiting - left)) if left <= most // 2 else 0


def reservation(queue: str, account: str, calls: int, timestamp: int, number: str) -> Publication:
    """The message that sets a block down in the journal; `timestamp` in epoch seconds."""
    properties = Properties(
        delivery_mode=PERSISTENT, message_id=number, timestamp=timestamp, type=SLOTS_TYPE
    )
    return Publication("", queue, to_json({"account": account, "calls": calls}), properties)


def reserved(message: Publication) -> tuple[str, int] | None:
    """Account and number of slots of a block; None for what anybody else may have published."""
    try:
        data = from_json(message.body, allow_inf_nan=False)
    except ValueError:
        return None
    if not isinstance(data, dict):
        return None
    account, calls = data.get("account"), data.get("calls")
    if not isinstance(account, str) or type(calls) is not int or calls < 1:
        return None
    return account, calls


_RESOLUTIONS = (1.0, 60.0, 1800.0)
"""Seconds that a bucket spans: the older the calls, the coarser they are counted."""
_BUCKETS = 64
"""Buckets of each resolution that are kept; those of the last one go back more than a day."""


class PastCalls:
    """Calls counted by when they were made, in buckets: some 20 KB however many there were.

    Times are seconds of one monotonic clock. A bucket's calls count as made at its end, so what is
    told is later than the truth by a second within the last minute, and never earlier.
    """

    __slots__ = ("_levels",)

    def __init__(self) -> None:
        self._levels: tuple[Counter[int], ...] = tuple(Counter() for _ in _RESOLUTIONS)

    def note(self, at: float, calls: int = 1) -> None:
        """So many calls were made at that time."""
        finest = self._levels[0]
        finest[int(at // _RESOLUTIONS[0])] += calls
        if len(finest) > 2 * _BUCKETS:
            self._coarsen(0)

    def newest(self, most: int) -> list[float]:
        """When the newest calls were made, at most so many, the newest first."""
        ends = sorted(
            (
                ((bucket + 1) * seconds, calls)
                for seconds, level in zip(_RESOLUTIONS, self._levels, strict=True)
                for bucket, calls in level.items()
            ),
            reverse=True,
        )
        return list(islice(chain.from_iterable(repeat(end, calls) for end, calls in ends), most))

    def _coarsen(self, number: int) -> None:
        """Move all but the newest buckets to the next resolution; from the last they go."""
        level = self._levels[number]
        oldest_kept = max(level) - _BUCKETS
        for bucket in [bucket for bucket in level if bucket < oldest_kept]:
            calls = level.pop(bucket)
            if number + 1 < len(_RESOLUTIONS):
                begins = bucket * _RESOLUTIONS[number]
                self._levels[number + 1][int(begins // _RESOLUTIONS[number + 1])] += calls
        if number + 1 < len(_RESOLUTIONS) and len(self._levels[number + 1]) > 2 * _BUCKETS:
            self._coarsen(number + 1)


def merged(one: Iterable[float], other: Iterable[float]) -> Iterator[float]:
    """Two incomplete lists of the same calls as one, all of them with the newest first.

    Call by call the later time counts: the longer list tells how many there were.
    """
    return (max(pair) for pair in zip_longest(one, other, fillvalue=-inf))
