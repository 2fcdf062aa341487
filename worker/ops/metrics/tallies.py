"""Series of what lanes have counted since the process started."""

from __future__ import annotations

import re
from collections import Counter
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

from schemas import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from prometheus_client.core import Metric

    from worker.tally import Histogram, Tally

    Tallies = Sequence[tuple[str, Tally]]

MOST_STATUSES = 50
"""Statuses of one account with a series of their own; those first seen later share `OTHER`."""
OTHER = "other"
_OUTCOMES = {("applied", ""): 0, ("superseded", ""): 0} | {
    ("rejected", reason.value): 0 for reason in Reason
}
"""All there can be: a series that begins with its first one hides that one from `increase`."""
_STATUS = re.compile(r"[!-~]{1,32}")

_COUNTED: tuple[tuple[str, str, Callable[[Tally], float]], ...] = (
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
    name: str, words: str, tallies: Tallies, histogram: Callable[[Tally], Histogram]
) -> Metric:
    family = HistogramMetricFamily(f"taskedit_{name}_seconds", words, labels=["account"])
    for account, tally in tallies:
        measured = histogram(tally)
        bounds = (*map(str, measured.bounds), "+Inf")
        counts = accumulate(tuple(measured.counts))
        family.add_metric([account], list(zip(bounds, counts, strict=True)), measured.total)
    return family
