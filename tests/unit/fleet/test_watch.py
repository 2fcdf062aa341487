"""What the heartbeats of several replicas say together."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from schemas import Heartbeat, LaneBeat
from worker.cli.lanes import in_words
from worker.fleet.watch import GONE_AFTER, LATE_AFTER, SILENT_AFTER, Fleet


def heard(
    fleet: Fleet,
    replica: str,
    now: float,
    *,
    serving: bool,
    state: str = "running",
    ahead: float = 0.0,
) -> None:
    lane = LaneBeat(serving=serving, state=state, rate_allowed="10/s")
    at = datetime.now(UTC) + timedelta(seconds=ahead)
    beat = Heartbeat(replica=replica, version="1", at=at, ready=True, accounts={"acme": lane})
    fleet.hear(beat.model_dump_json().encode(), now)


def order(fleet: Fleet, now: float) -> list[str]:
    return [name for name, _ in fleet.of("acme", now)]


def test_who_serves_comes_first() -> None:
    fleet = Fleet()
    heard(fleet, "a", 0.0, serving=False)
    heard(fleet, "b", 0.0, serving=True)
    assert order(fleet, 1.0) == ["b", "a"]


def test_of_two_that_serve_the_one_heard_last_does_for_the_other_may_be_dead() -> None:
    fleet = Fleet()
    heard(fleet, "a", 0.0, serving=True)
    heard(fleet, "b", 0.5, serving=True)
    assert order(fleet, 1.0) == ["b", "a"]


def test_one_that_is_overdue_is_believed_less_than_a_standby_and_not_at_all_once_silent() -> None:
    fleet = Fleet()
    heard(fleet, "a", 0.0, serving=True, state="suspended")
    heard(fleet, "b", 5.0, serving=False)
    assert order(fleet, LATE_AFTER - 0.5) == ["a", "b"]
    assert order(fleet, LATE_AFTER + 0.5) == ["b", "a"]
    assert order(fleet, SILENT_AFTER) == ["b"]


def test_a_silence_does_not_grow_while_nobody_can_be_heard_and_ends_in_being_forgotten() -> None:
    fleet = Fleet()
    heard(fleet, "a", 0.0, serving=True)
    heard(fleet, "b", 20.0, serving=True)
    fleet.went_by(3600.0)
    assert fleet.silent(3620.0) == [("a", 20.0)]
    fleet.forget(3600.0 + GONE_AFTER - 0.5)
    assert sorted(fleet.replicas) == ["a", "b"]
    fleet.forget(3600.0 + GONE_AFTER)
    assert sorted(fleet.replicas) == ["b"]


def test_clocks_that_are_wrong_are_told_apart_from_those_that_are_a_little_off() -> None:
    fleet = Fleet()
    for replica, ahead in (("a", 7200.0), ("b", -7200.0), ("c", 3.0)):
        heard(fleet, replica, 0.0, serving=True, ahead=ahead)
    apart = [(name, round(by, -1)) for name, by in fleet.clocks_apart]
    assert apart == [("a", 7200.0), ("b", -7200.0)]
    said = "\n".join(in_words(fleet, [], 0, datetime.now(UTC), 1.0))
    assert "replica a: its clock is 2:00:00 ahead of this machine's" in said
    assert "replica b: its clock is 2:00:00 behind this machine's" in said
