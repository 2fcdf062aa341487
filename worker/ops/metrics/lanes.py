"""Series of how each lane is at this moment."""

from __future__ import annotations

from time import monotonic, time
from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily

from worker.core.health import State
from worker.ops.glance import glance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from prometheus_client.core import Metric

    from worker.lane import Lane


def _moment(since: float | None) -> float | None:
    """Monotonic seconds as epoch seconds."""
    return None if since is None else round(time() - (monotonic() - since), 1)


_GAUGED: tuple[tuple[str, str, Callable[[Lane], float | None]], ...] = (
    ("lane_open", "1 while this process works on the lane.", lambda lane: lane.is_open),
    (
        "lane_state_since_timestamp_seconds",
        "Since when the lane is in its state.",
        lambda lane: _moment(lane.standing.health.since),
    ),
    ("edits_held", "Edits held, not acknowledged yet.", lambda lane: glance(lane).held),
    (
        "edits_waiting",
        "Edits held that are neither being called nor being settled.",
        lambda lane: glance(lane).waiting,
    ),
    (
        "edits_ready",
        "Edits held that could be called now, but for the rate and the concurrency.",
        lambda lane: lane.window.ready,
    ),
    (
        "oldest_held_timestamp_seconds",
        "Since when the longest held edit is held; absent while none is.",
        lambda lane: _moment(glance(lane).oldest),
    ),
    (
        "edits_unconfirmed",
        "Edits whose outcome RabbitMQ has not confirmed.",
        lambda lane: lane.unconfirmed,
    ),
    ("calls_in_flight", "Calls that have no reply yet.", lambda lane: lane.in_flight),
    (
        "calls_in_flight_limit",
        "How many there may be: the account's concurrency.",
        lambda lane: lane.account.concurrency,
    ),
    (
        "rate_limit_calls_per_second",
        "How many calls a second the account's limits allow in the long run.",
        lambda lane: min(rate.calls / rate.seconds for rate in lane.account.rates),
    ),
    (
        "last_success_timestamp_seconds",
        "When an edit was applied last; absent before the first.",
        lambda lane: lane.tally.last_success,
    ),
    (
        "clock_skew_seconds",
        "How far the API's clock was found ahead of ours.",
        lambda lane: lane.tally.clock_skew,
    ),
)


def lane_gauges(lanes: Sequence[Lane]) -> Iterator[Metric]:
    """Gauges of each lane; its own thread is not waited for."""
    yield _states(lanes)
    for name, words, value in _GAUGED:
        family = GaugeMetricFamily(f"taskedit_{name}", words, labels=["account"])
        for lane in lanes:
            found = value(lane)
            if found is not None:
                family.add_metric([lane.account.name], found)
        yield family


def _states(lanes: Sequence[Lane]) -> Metric:
    words = "1 for the state that the lane is in, 0 for the others."
    family = GaugeMetricFamily("taskedit_lane_state", words, labels=["account", "state"])
    for lane in lanes:
        now = lane.state
        for state in (*(state.value for state in State), "paused"):
            family.add_metric([lane.account.name, state], state == now)
    return family
