from __future__ import annotations

from dataclasses import replace
from time import monotonic, time
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families as families

from tests.unit.observability.builders import lane, reading
from tests.unit.pipeline.test_pause import PAUSE
from worker.core.circuit import State
from worker.observability.metrics import Metrics, exposition
from worker.pipeline.counters import LaneCounters

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client.core import Metric

    from worker.observability.status import Reading
    from worker.pipeline.lane import Lane

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]

NAMES = {
    "taskedit_build_info": {"version"},
    "taskedit_call_duration_seconds_bucket": {"account", "le"},
    "taskedit_call_duration_seconds_count": {"account"},
    "taskedit_call_duration_seconds_sum": {"account"},
    "taskedit_calls_in_flight": {"account"},
    "taskedit_calls_in_flight_limit": {"account"},
    "taskedit_calls_total": {"account", "status"},
    "taskedit_clock_skew_seconds": {"account"},
    "taskedit_confirms_outstanding": set(),
    "taskedit_connected": {"link"},
    "taskedit_critical_time_seconds_bucket": {"account", "le"},
    "taskedit_critical_time_seconds_count": {"account"},
    "taskedit_critical_time_seconds_sum": {"account"},
    "taskedit_dead_letters_refused_total": set(),
    "taskedit_dead_letters_total": {"account", "reason"},
    "taskedit_deliveries_total": {"account"},
    "taskedit_edits_held": {"account"},
    "taskedit_edits_ready": {"account"},
    "taskedit_edits_total": {"account", "outcome", "reason"},
    "taskedit_edits_unconfirmed": {"account"},
    "taskedit_edits_waiting": {"account"},
    "taskedit_events_refused_total": set(),
    "taskedit_give_backs_total": {"account"},
    "taskedit_handed_on_total": {"account"},
    "taskedit_lane_open": {"account"},
    "taskedit_lane_left_over_edits": {"lane"},
    "taskedit_lane_state": {"account", "state"},
    "taskedit_lane_state_since_timestamp_seconds": {"account"},
    "taskedit_lane_stopped": {"account", "state", "status", "cause"},
    "taskedit_lane_subscribed": {"account"},
    "taskedit_lanes_left_over": set(),
    "taskedit_last_success_timestamp_seconds": {"account"},
    "taskedit_message_id_conflicts_total": {"account"},
    "taskedit_oldest_held_timestamp_seconds": {"account"},
    "taskedit_paused_since_timestamp_seconds": {"account"},
    "taskedit_publishing_blocked": set(),
    "taskedit_rate_limit_calls_per_second": {"account"},
    "taskedit_ready": set(),
    "taskedit_reconnects_total": {"link"},
    "taskedit_redeliveries_total": {"account"},
    "taskedit_repeats_total": {"account"},
    "taskedit_retries_total": {"account"},
    "taskedit_settings_refused": set(),
    "taskedit_state_folder_usable": set(),
    "taskedit_threads_short": set(),
    "taskedit_suspensions_total": {"account"},
    "taskedit_throttled_seconds_total": {"account"},
    "taskedit_throttles_total": {"account"},
}
"""What alerts, dashboards and operators rely on: nothing here is renamed or dropped in silence."""


def scraped(*lanes: Lane, of: Reading | None = None) -> Samples:
    """Every sample by its name and labels, as a Prometheus would read them."""
    text = Metrics(lambda: lanes, lambda: of or reading()).render().decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families(text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((f"taskedit_{name}", frozenset(labels.items())))


def test_the_names_and_labels_are_these() -> None:
    busy = lane(held=2)
    busy.tally.calls["0"] += 1
    busy.tally.last_success = time()
    busy.tally.clocks_compared = monotonic()
    busy.paused = PAUSE
    busy.standing.health = replace(busy.standing.health, state=State.THROTTLED)

    samples = scraped(busy, of=reading(left_over={"old": 3}))

    found: dict[str, set[str]] = {}
    for name, labels in samples:
        found.setdefault(name, set()).update(label for label, _ in labels)
    assert {name: of for name, of in found.items() if name.startswith("taskedit_")} == NAMES
    assert {"process_cpu_seconds_total", "process_start_time_seconds", "python_info"} <= set(found)


def test_what_a_lane_has_counted() -> None:
    acme = lane()
    acme.tally.outcomes["applied", ""] += 3
    acme.tally.outcomes["rejected", "invalid"] += 2
    acme.tally.calls["0"] += 3
    acme.tally.calls["http:503"] += 1
    acme.tally.deliveries, acme.tally.redeliveries, acme.tally.repeats = 9, 4, 1
    acme.tally.conflicts, acme.tally.retries, acme.tally.give_backs = 2, 5, 6
    acme.tally.throttles, acme.tally.throttled_seconds, acme.tally.suspensions = 7, 1.5, 8

    samples = scraped(acme)

    def counted(name: str) -> float | None:
        return value(samples, name, account="acme")

    edits = {"account": "acme", "outcome": "rejected"}
    assert value(samples, "edits_total", account="acme", outcome="applied", reason="") == 3
    assert value(samples, "edits_total", **edits, reason="invalid") == 2
    assert value(samples, "dead_letters_total", account="acme", reason="invalid") == 2
    assert value(samples, "calls_total", account="acme", status="0") == 3
    assert value(samples, "calls_total", account="acme", status="http:503") == 1
    assert [counted(f"{name}_total") for name in ("deliveries", "redeliveries", "repeats")] == [
        9,
        4,
        1,
    ]
    assert counted("message_id_conflicts_total") == 2
    assert counted("retries_total") == 5
    assert counted("give_backs_total") == 6
    assert counted("throttles_total") == 7
    assert counted("throttled_seconds_total") == 1.5
    assert counted("suspensions_total") == 8


def test_a_dead_letter_to_come_has_its_series_already() -> None:
    samples = scraped(lane())

    assert value(samples, "dead_letters_total", account="acme", reason="poison") == 0


def test_durations_are_cumulative() -> None:
    acme = lane()
    for seconds in (0.004, 0.3, 0.4, 99.0):
        acme.tally.call_seconds.add(seconds)

    samples = scraped(acme)

    def up_to(bound: str) -> float | None:
        return value(samples, "call_duration_seconds_bucket", account="acme", le=bound)

    assert [up_to(bound) for bound in ("0.005", "0.25", "0.5", "30.0", "+Inf")] == [1, 1, 3, 3, 4]
    assert value(samples, "call_duration_seconds_count", account="acme") == 4
    assert value(samples, "call_duration_seconds_sum", account="acme") == pytest.approx(99.704)


def test_how_a_lane_is_now() -> None:
    acme = lane(rate="20/s,600/m", held=3, concurrency=40)
    acme.in_flight, acme.unconfirmed, acme.is_open = 1, 2, True
    acme.tally.last_success = 1_795_331_000.5
    acme.tally.clock_skew, acme.tally.clocks_compared = -12.5, monotonic()
    acme.standing.health = replace(
        acme.standing.health, state=State.SUSPENDED, since=monotonic() - 60
    )

    samples = scraped(acme)

    def gauge(name: str, **labels: str) -> float:
        found = value(samples, name, account="acme", **labels)
        assert found is not None
        return found

    assert [gauge("lane_state", state=state) for state in State] == [0, 0, 1]
    assert gauge("lane_state_since_timestamp_seconds") == pytest.approx(time() - 60, abs=5)
    assert gauge("lane_open") == 1
    assert (gauge("edits_held"), gauge("edits_waiting"), gauge("edits_unconfirmed")) == (3, 2, 2)
    assert gauge("edits_ready") == 2
    assert (gauge("calls_in_flight"), gauge("calls_in_flight_limit")) == (1, 40)
    assert gauge("rate_limit_calls_per_second") == 10
    assert gauge("last_success_timestamp_seconds") == 1_795_331_000.5
    assert gauge("clock_skew_seconds") == -12.5


@pytest.mark.parametrize(
    ("status", "told", "cause"),
    [
        ("-3", "-3", "the API answered -3 (balance exhausted)"),
        ("http:429", "http:429", "the API answered HTTP 429"),
        (None, "none", "the API does not answer"),
        ("a b", "other", "the API answered a b"),
    ],
)
def test_a_lane_that_is_stopped_says_by_which_status_until_it_goes_on(
    status: str | None, told: str, cause: str
) -> None:
    acme = lane()
    acme.standing.health = replace(acme.standing.health, state=State.SUSPENDED, status=status)
    labels = {"account": "acme", "state": "suspended", "status": told, "cause": cause}
    assert value(scraped(acme), "lane_stopped", **labels) == 1

    acme.standing.health = replace(acme.standing.health, state=State.RUNNING)
    assert not any(name == "taskedit_lane_stopped" for name, _ in scraped(acme))


def test_a_skew_that_no_answer_has_confirmed_for_five_minutes_is_not_told() -> None:
    acme = lane()
    acme.tally.clock_skew, acme.tally.clocks_compared = 40.0, monotonic() - 301

    assert value(scraped(acme), "clock_skew_seconds", account="acme") is None


def test_what_never_was_has_no_time() -> None:
    samples = scraped(lane())

    assert value(samples, "last_success_timestamp_seconds", account="acme") is None
    assert value(samples, "oldest_held_timestamp_seconds", account="acme") is None


def test_the_process_as_a_whole() -> None:
    strays = LaneCounters()
    strays.outcomes["rejected", "unknown_app"] += 4
    samples = scraped(
        of=reading(
            ready=False,
            settings_refused=True,
            connected={"consume": False},
            reconnects={"consume": 3},
            blocked=True,
            confirms_outstanding=5,
            events_refused=6,
            letters_refused=7,
            state_folder_usable=False,
            subscribed={"acme": False},
            strays=strays,
        )
    )

    assert value(samples, "build_info", version="1.2.3") == 1
    assert value(samples, "ready") == 0
    assert value(samples, "settings_refused") == 1
    assert value(samples, "connected", link="consume") == 0
    assert value(samples, "reconnects_total", link="consume") == 3
    assert value(samples, "publishing_blocked") == 1
    assert value(samples, "state_folder_usable") == 0
    assert value(samples, "confirms_outstanding") == 5
    assert value(samples, "events_refused_total") == 6
    assert value(samples, "dead_letters_refused_total") == 7
    assert value(samples, "lane_subscribed", account="acme") == 0
    assert value(samples, "dead_letters_total", account="-", reason="unknown_app") == 4


def test_an_api_of_many_statuses_makes_few_series() -> None:
    acme = lane()
    for number in range(200):
        acme.tally.calls[f"-{number}"] += 1
    before = scraped(acme)
    acme.tally.calls["-7"] += 1
    acme.tally.calls["-150"] += 1
    acme.tally.calls["-999"] += 1
    samples = scraped(acme)

    statuses = {dict(labels)["status"] for name, labels in samples if "calls_total" in name}
    assert len(statuses) == 51
    assert value(samples, "calls_total", account="acme", status="-7") == 2
    assert value(before, "calls_total", account="acme", status="other") == 150
    assert value(samples, "calls_total", account="acme", status="other") == 152


@pytest.mark.parametrize("status", ['"} 1\ntaskedit_ready 0', "\ud800", "x" * 33, "", "余额"])
def test_a_status_that_is_no_label_is_one_of_the_others(status: str) -> None:
    acme = lane()
    acme.tally.calls[status] += 1

    assert value(scraped(acme), "calls_total", account="acme", status="other") == 1


def test_two_workers_in_one_process_do_not_meet() -> None:
    one, other = (Metrics(lambda: [lane()], reading) for _ in range(2))

    assert one.render().count(b"# TYPE python_info") == 1
    assert other.render().count(b"# TYPE taskedit_ready") == 1


def test_the_page_says_what_the_clients_own_exposition_says() -> None:
    acme = lane(held=2)
    acme.tally.count_call('-1"\\')
    acme.tally.call_seconds.add(0.3)
    acme.tally.throttled_seconds = 1e17
    metrics = Metrics(lambda: [acme, lane("zeta")], reading)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(metrics)

    ours = list(families("".join(exposition(metrics.collect()))))

    assert {family.name for family in ours} >= {"taskedit_calls", "taskedit_lane_open"}
    assert samples(ours) == samples(families(generate_latest(registry).decode()))
    assert "\ntaskedit_ready 1.0\n" in metrics.render().decode(), "no braces around no labels"


def samples(found: Iterable[Metric]) -> list[tuple[str, str, str, dict[str, str], float]]:
    """Each sample with its family's type and words, but for the moments, which go on."""
    return [
        (family.type, family.documentation, each.name, dict(each.labels), each.value)
        for family in found
        for each in family.samples
        if "timestamp" not in each.name
    ]
