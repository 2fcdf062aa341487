"""What must not grow: the cost of an edit with jobs, with its size, with the API's latency."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.bench.contestants import OURS
from tests.bench.ground import say
from tests.bench.race import Course, lap, row, typical

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.bench.ground import Ground

JOBS = (1, 10, 100, 10_000)
SIZES = (1, 8, 60)
"""KiB of a message."""
LATENCIES = ((0.0, 64), (0.05, 64), (0.5, 200), (2.0, 200))
"""Seconds, and calls in flight."""
ROUNDS_AT_MOST = 2
_LASTS = 5.0
"""Seconds that a run with latency is to last."""


def measure(ground: Ground) -> dict[str, Any]:
    """Rows by what grows."""
    count = ground.options.messages * 2
    return {
        "jobs": [
            _row(ground, {"jobs": jobs}, Course(count if jobs > 1 else count // 8, jobs=jobs))
            for jobs in JOBS
        ],
        "sizes": [
            _row(ground, {"kib": size}, Course(count // 2, size=size * 1024)) for size in SIZES
        ],
        "latencies": [_slow(ground, count, *each) for each in LATENCIES],
    }


def _slow(ground: Ground, count: int, latency: float, concurrency: int) -> dict[str, Any]:
    allowed = concurrency / latency if latency else 0.0
    course = Course(min(count, int(allowed * _LASTS) or count), latency, concurrency)
    what = {"latency": latency, "concurrency": concurrency, "allowed": allowed}
    return _row(ground, what, course)


def _row(ground: Ground, what: Mapping[str, float], course: Course) -> dict[str, Any]:
    laps = [lap(ground, OURS, course) for _ in range(min(ground.options.rounds, ROUNDS_AT_MOST))]
    found = {**what, **row(typical(laps))}
    say(f"growth: {found}")
    return found
