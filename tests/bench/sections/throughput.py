"""Everybody side by side: messages a second, CPU a message, peak memory, in several rounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.bench.contestants import AIOHTTP, ALL
from tests.bench.ground import say
from tests.bench.race import Course, lap, row, typical

if TYPE_CHECKING:
    from tests.bench.contestants import Contestant
    from tests.bench.ground import Ground
    from tests.bench.race import Lap

SCENES = ((0.0, 64), (0.05, 64), (0.05, 200))
"""The API's latency in seconds, and calls in flight."""
WITHIN = 25.0
"""Seconds that a run may take, start aside."""


def measure(ground: Ground) -> dict[str, Any]:
    """Rows by scene; each round lets all run in turn, so that a bad minute hits all alike."""
    scenes = SCENES[:1] if ground.options.quick else SCENES
    found = []
    for latency, concurrency in scenes:
        laps: dict[str, list[Lap]] = {each.name: [] for each in _starters(latency)}
        for number in range(ground.options.rounds):
            for each in _starters(latency):
                one = lap(ground, each, _course(ground, each, latency, concurrency))
                laps[each.name].append(one)
                say(
                    f"{latency * 1e3:.0f} ms, {concurrency} in flight, round {number + 1}:"
                    f" {each.title}: {one.rate:.0f}/s, {one.cpu:.0f} µs, {one.peak:.0f} MiB"
                    f" {one.trouble}"
                )
        found.append(
            {
                "latency": latency,
                "concurrency": concurrency,
                "allowed": concurrency / latency if latency else 0.0,
                "rows": [
                    {"name": each.name, "title": each.title, **row(typical(laps[each.name]))}
                    for each in _starters(latency)
                ],
                "laps": {name: [row(one) for one in of] for name, of in laps.items()},
            }
        )
    return {"rounds": ground.options.rounds, "scenes": found, "reference": AIOHTTP.name}


def _starters(latency: float) -> list[Contestant]:
    """All; with latency, those that make several calls at once."""
    return [each for each in ALL if not (latency and each.one_by_one)]


def _course(ground: Ground, each: Contestant, latency: float, concurrency: int) -> Course:
    """As many messages as make all runs about equally long."""
    pace = min(each.pace, concurrency / latency) if latency else each.pace
    count = ground.options.messages * pace / AIOHTTP.pace
    if not latency and each.threads_at_once:
        concurrency = each.threads_at_once
    return Course(max(200, int(count)), latency, concurrency, within=WITHIN)
