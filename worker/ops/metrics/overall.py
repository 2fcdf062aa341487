"""Series of the process as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client.core import Metric

    from worker.ops.metrics.reading import Reading


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
        "1 while the account's queue is consumed, as a stand-by too.",
        "account",
        reading.subscribed,
    )
    yield _gauge(
        "state_folder_usable",
        "0 while notes of what is being called would end with the process.",
        reading.state_folder_usable,
    )
    yield _gauge(
        "lanes_left_over",
        "Lanes that no account owns and nobody consumes, as far as this worker knows of them.",
        reading.lanes_left_over,
    )
    yield _gauge(
        "threads_short",
        "1 while the machine gives fewer threads than the accounts' concurrency asks for.",
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
