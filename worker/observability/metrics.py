# ruff: noqa: TID251  (the one place that makes metrics)
"""All metrics, made when somebody asks for them from what the lanes count anyway.

The only importer of prometheus_client. No label holds an id: accounts, outcomes, reasons,
connections and, up to a number, statuses.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import accumulate
from time import monotonic, time
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from schemas import Reason
from worker.core.circuit import State
from worker.core.judge import meaning
from worker.observability.status import snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from prometheus_client.core import Metric

    from worker.observability.status import Reading
    from worker.pipeline.counters import Histogram, LaneCounters
    from worker.pipeline.lane import Lane

    Tallies = Sequence[tuple[str, LaneCounters]]


def overall(reading: Reading) -> Iterator[Metric]:
    """What is not of one lane."""
    build = {reading.version: 1}
    yield _gauges("build_info", "Always 1; the label says which build it is.", "version", build)
    yield _gauge("ready", "1 while /readyz says so.", reading.ready)
    yield _gauge(
        "settings_refused",
        "1 when the last reload found settings that it could not use.",
        reading.settings_refused,
    )
    yield _gauges("connected", "1 while connected to RabbitMQ.", "link", reading.connected)
    yield _counters(
        "reconnects", "Connections to RabbitMQ that were lost.", "link", reading.reconnects
    )
    yield _gauges(
        "lane_subscribed",
        "1 while the account's queue is consumed, as a stand-by too, or the account is paused.",
        "account",
        reading.subscribed,
    )
    yield _gauge(
        "state_folder_usable",
        "0 while notes of what is being called would end with the process.",
        reading.state_folder_usable,
    )
    yield _gauges(
        "lane_left_over_edits",
        "Edits in the queue of a lane that no account owns and nobody consumes.",
        "lane",
        reading.left_over,
    )
    yield _gauge(
        "lanes_left_over",
        "Lanes that no account owns and nobody consumes, as far as this worker knows of them.",
        len(reading.left_over),
    )
    yield _gauge(
        "threads_short",
        "1 while the machine gives fewer threads than the accounts' concurrency asks for, or "
        "lacks what a call takes.",
        reading.threads_short,
    )
    yield _gauge("publishing_blocked", "1 while RabbitMQ takes no publications.", reading.blocked)
    yield _gauge(
        "confirms_outstanding",
        "Publications that RabbitMQ has not confirmed.",
        reading.confirms_outstanding,
    )
    yield _counter(
        "events_refused",
        "Events that a subscriber's queue refused, and that went to the journal alone.",
        reading.events_refused,
    )
    yield _counter(
        "dead_letters_refused",
        "Times that RabbitMQ would not take a dead letter, which is then offered again.",
        reading.letters_refused,
    )


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(f"taskedit_{name}", words, value)


def _counter(name: str, words: str, value: float) -> Metric:
    return CounterMetricFamily(f"taskedit_{name}", words, value)


def _gauges(name: str, words: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"taskedit_{name}", words, labels=[label])
    for of, value in dict(values).items():
        family.add_metric([of], value)
    return family


def _counters(name: str, words: str, label: str, values: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(f"taskedit_{name}", words, labels=[label])
    for of, value in dict(values).items():
        family.add_metric([of], value)
    return family


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
    ("edits_held", "Edits held, not acknowledged yet.", lambda lane: snapshot(lane).held),
    (
        "edits_waiting",
        "Edits held that are neither being called nor being settled.",
        lambda lane: snapshot(lane).waiting,
    ),
    (
        "edits_ready",
        "Edits held that could be called now, but for the rate and the concurrency.",
        lambda lane: lane.window.ready,
    ),
    (
        "oldest_held_timestamp_seconds",
        "Since when the longest held edit is held; absent while none is.",
        lambda lane: _moment(snapshot(lane).oldest),
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
        "paused_since_timestamp_seconds",
        "When an operator paused the account; absent while it is not paused.",
        lambda lane: None if lane.paused is None else lane.paused.at.timestamp(),
    ),
    (
        "last_success_timestamp_seconds",
        "When an edit was applied last; absent before the first.",
        lambda lane: lane.tally.last_success,
    ),
    (
        "clock_skew_seconds",
        "How far the API's clock is ahead of ours; absent while no answer tells.",
        lambda lane: lane.tally.skew(monotonic()),
    ),
)


def lane_gauges(lanes: Sequence[Lane]) -> Iterator[Metric]:
    """Gauges of each lane; its own thread is not waited for."""
    yield _states(lanes)
    yield _stopped(lanes)
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


def _stopped(lanes: Sequence[Lane]) -> Metric:
    words = "1 while the lane is throttled or suspended; the labels say by which status."
    labels = ["account", "state", "status", "cause"]
    family = GaugeMetricFamily("taskedit_lane_stopped", words, labels=labels)
    for lane in lanes:
        health = lane.standing.health
        if health.state is not State.RUNNING:
            status = health.status or "none"
            status = status if _STATUS.fullmatch(status) else OTHER
            cause = meaning(health.status) if health.status else "the API does not answer"
            family.add_metric([lane.account.name, health.state.value, status, cause], 1)
    return family


MOST_STATUSES = 50
"""Statuses of one account with a series of their own; those first seen later share `OTHER`."""
OTHER = "other"
_OUTCOMES = {("applied", ""): 0, ("superseded", ""): 0} | {
    ("rejected", reason.value): 0 for reason in Reason
}
"""All there can be: a series that begins with its first one hides that one from `increase`."""
_STATUS = re.compile(r"[!-~]{1,32}")

_COUNTED: tuple[tuple[str, str, Callable[[LaneCounters], float]], ...] = (
    ("deliveries", "Messages taken from the queue.", lambda tally: tally.deliveries),
    (
        "redeliveries",
        "Deliveries that RabbitMQ had handed out before.",
        lambda tally: tally.redeliveries,
    ),
    (
        "repeats",
        "Messages that were settled before, and so were not called again.",
        lambda tally: tally.repeats,
    ),
    (
        "handed_on",
        "Edits given to the lane of the account that their appId belongs to now.",
        lambda tally: tally.handed_on,
    ),
    (
        "message_id_conflicts",
        "Message ids that came again with another body.",
        lambda tally: tally.conflicts,
    ),
    ("retries", "Calls that are made again after a failure.", lambda tally: tally.retries),
    ("throttles", "Times that the API asked to slow down.", lambda tally: tally.throttles),
    (
        "throttled_seconds",
        "Time that the lane was throttled, counted when it goes on.",
        lambda tally: tally.throttled_seconds,
    ),
    ("suspensions", "Times that the lane was suspended.", lambda tally: tally.suspensions),
    (
        "give_backs",
        "Times that the lane gave all it held back to its queue, having held it for long.",
        lambda tally: tally.give_backs,
    ),
)


def tally_families(tallies: Tallies) -> Iterator[Metric]:
    """Counters and histograms of each account's tally."""
    yield _edits(tallies)
    yield _dead_letters(tallies)
    yield _calls(tallies)
    yield _durations(
        "call_duration",
        "Time from sending a request to its reply, or to giving up on it.",
        tallies,
        lambda tally: tally.call_seconds,
    )
    yield _durations(
        "critical_time",
        "Time from publishing an edit to its settlement.",
        tallies,
        lambda tally: tally.outcome_seconds,
    )
    for name, words, value in _COUNTED:
        family = CounterMetricFamily(f"taskedit_{name}", words, labels=["account"])
        for account, tally in tallies:
            family.add_metric([account], value(tally))
        yield family


def _edits(tallies: Tallies) -> Metric:
    words = "Edits settled, by what became of them; the reason is empty unless rejected."
    family = CounterMetricFamily("taskedit_edits", words, labels=["account", "outcome", "reason"])
    for account, tally in tallies:
        for (outcome, reason), count in (_OUTCOMES | dict(tally.outcomes)).items():
            family.add_metric([account, outcome, reason], count)
    return family


def _dead_letters(tallies: Tallies) -> Metric:
    words = "Edits set aside for a person to look at."
    family = CounterMetricFamily("taskedit_dead_letters", words, labels=["account", "reason"])
    for account, tally in tallies:
        for (outcome, reason), count in (_OUTCOMES | dict(tally.outcomes)).items():
            if outcome == "rejected":
                family.add_metric([account, reason], count)
    return family


def _calls(tallies: Tallies) -> Metric:
    words = "Calls of the API by its status; http:<code>, or none for want of an answer."
    family = CounterMetricFamily("taskedit_calls", words, labels=["account", "status"])
    for account, tally in tallies:
        for status, count in _bounded(dict(tally.calls).items()):
            family.add_metric([account, status], count)
    return family


def _bounded(statuses: Iterable[tuple[str, int]]) -> Iterable[tuple[str, int]]:
    """No more than `MOST_STATUSES` and `OTHER`, each the same one every time.

    The first seen keep their own, for a counter must not go back; those that are no proper label
    never have one.
    """
    counts: Counter[str] = Counter()
    for status, count in statuses:
        own = status in counts or len(counts) < MOST_STATUSES
        counts[status if own and _STATUS.fullmatch(status) else OTHER] += count
    return counts.items()


def _durations(
    name: str, words: str, tallies: Tallies, histogram: Callable[[LaneCounters], Histogram]
) -> Metric:
    family = HistogramMetricFamily(f"taskedit_{name}_seconds", words, labels=["account"])
    for account, tally in tallies:
        measured = histogram(tally)
        bounds = (*map(str, measured.bounds), "+Inf")
        counts = accumulate(tuple(measured.counts))
        family.add_metric([account], list(zip(bounds, counts, strict=True)), measured.total)
    return family


def exposition(families: Iterable[Metric]) -> Iterator[str]:
    """Families in Prometheus' text format 0.0.4, as `generate_latest` writes them.

    That checks name and labels of each sample anew, which takes 1.3 s of processor time for a
    thousand accounts; this takes half of it. Names and labels are ours, and values of labels need
    an escape at most.
    """
    for family in families:
        name = f"{family.name}_total" if family.type == "counter" else family.name
        yield f"# HELP {name} {family.documentation}\n# TYPE {name} {family.type}\n"
        for sample in family.samples:
            labels = ",".join([f'{key}="{_escaped(of)}"' for key, of in sample.labels.items()])
            braced = f"{{{labels}}}" if labels else ""
            yield f"{sample.name}{braced} {float(sample.value)!r}\n"


def _escaped(value: str) -> str:
    if value.isidentifier():
        return value
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


NO_ACCOUNT = "-"
"""The account of edits that belong to none, as in the source of their events."""


class Metrics(Collector):
    """Reads the live lanes and the process whenever asked; on any thread."""

    def __init__(self, lanes: Callable[[], Iterable[Lane]], reading: Callable[[], Reading]) -> None:
        """Neither callable may block; see `worker.observability.status.Probes`."""
        self._lanes = lanes
        self._reading = reading
        self._registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)

    def render(self) -> bytes:
        """Every series, in Prometheus' text format 0.0.4."""
        return generate_latest(self._registry) + "".join(exposition(self.collect())).encode()

    def collect(self) -> Iterator[Metric]:
        """The worker's own series."""
        lanes, reading = list(self._lanes()), self._reading()
        tallies = [(lane.account.name, lane.tally) for lane in lanes]
        yield from overall(reading)
        yield from tally_families([*tallies, (NO_ACCOUNT, reading.strays)])
        yield from lane_gauges(lanes)
