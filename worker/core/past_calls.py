"""How many calls were made when, for limits that somebody may set later."""

from __future__ import annotations

from collections import Counter
from itertools import chain, islice, repeat, zip_longest
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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
