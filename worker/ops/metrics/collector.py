"""All series together, and their text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.registry import Collector

from worker.ops.metrics.lanes import lane_gauges
from worker.ops.metrics.overall import overall
from worker.ops.metrics.tallies import tally_families

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from prometheus_client.core import Metric

    from worker.lane import Lane
    from worker.ops.metrics.reading import Reading

NO_ACCOUNT = "-"
"""The account of edits that belong to none, as in the source of their events."""


class Metrics(Collector):
    """Reads the live lanes and the process whenever asked; on any thread."""

    def __init__(self, lanes: Callable[[], Iterable[Lane]], reading: Callable[[], Reading]) -> None:
        """Neither callable may block; see `worker.ops.answers.Probes`."""
        self._lanes = lanes
        self._reading = reading
        self._registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self._registry.register(self)

    def render(self) -> bytes:
        """Every series, in Prometheus' text format 0.0.4."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """The worker's own series; prometheus_client asks for them."""
        lanes, reading = list(self._lanes()), self._reading()
        tallies = [(lane.account.name, lane.tally) for lane in lanes]
        yield from overall(reading)
        yield from tally_families([*tallies, (NO_ACCOUNT, reading.strays)])
        yield from lane_gauges(lanes)
