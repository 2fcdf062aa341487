"""A letter that is sent again never undoes a newer edit, whatever the replicas' clocks say."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.console import Console
from tests.acceptance.kit import edit, letters, publish, until

if TYPE_CHECKING:
    from pathlib import Path

    from ops.simulator.control import Simulator
    from tests.acceptance.conftest import NewWorker
    from tests.acceptance.kit import Subscriber, WorkerProcess

JOBS = 5
TWO_HOURS = "7200"


@pytest.fixture
def console(amqp_url: str, namespace: str, tmp_path: Path) -> Console:
    settings = {"TASKEDIT_AMQP_URL": amqp_url, "TASKEDIT_NAMESPACE": namespace}
    return Console(settings, tmp_path)


def edits(name: str) -> list[dict[str, object]]:
    return [edit(1 + n, name=f"{name}-{n}") for n in range(JOBS)]


def restarted_skewed(worker: WorkerProcess, by: str) -> None:
    """The same replica, with a clock that is wrong."""
    worker.stop()
    worker.arguments = ("-m", "tests.acceptance.skewed", "run")
    worker.environment = dict(worker.environment) | {"SKEW": by}
    worker.start()
    worker.ready()


def restarted(worker: WorkerProcess) -> None:
    worker.stop()
    worker.arguments = ("-m", "worker", "run")
    worker.start()
    worker.ready()


def names(simulator: Simulator) -> set[str]:
    return {str(call.name) for call in simulator.calls()}


def test_a_letter_that_waits_behind_a_newer_edit_in_a_suspended_lane_is_not_called(
    amqp_url: str,
    namespace: str,
    simulator: Simulator,
    new_worker: NewWorker,
    events: Subscriber,
    console: Console,
) -> None:
    worker = new_worker()
    simulator.answer("-41", times=JOBS)
    publish(amqp_url, namespace, edits("old"), ids="old")
    until(lambda: len(events.take()) == JOBS)
    simulator.clear()
    simulator.answer("-3")
    publish(amqp_url, namespace, edits("new"), ids="new")
    until(lambda: worker.lane()["state"] == "suspended")
    assert json.loads(console.run("dead", "redrive", "--all", "--json").stdout)["sent"] == JOBS
    simulator.clear(record=True)
    until(lambda: len(events.take()) == 3 * JOBS, 40)
    assert names(simulator) == {f"new-{n}" for n in range(JOBS)}
    found = [headers for headers, _ in letters(amqp_url, namespace)]
    assert [one["taskedit-reason"] for one in found] == ["api_rejected"] * JOBS
    assert all("superseded" in str(one["taskedit-detail"]) for one in found)


def test_a_newer_edit_that_is_applied_while_a_slow_redrive_runs_stays(
    amqp_url: str,
    namespace: str,
    simulator: Simulator,
    new_worker: NewWorker,
    events: Subscriber,
    console: Console,
) -> None:
    new_worker()
    simulator.answer("-41", times=JOBS)
    publish(amqp_url, namespace, edits("old"), ids="old")
    until(lambda: len(events.take()) == JOBS)
    simulator.clear(record=True)
    redrive = console.begun("dead", "redrive", "--all", "--rate", "20/m")
    until(lambda: len(events.take()) == JOBS + 1, 40)
    publish(amqp_url, namespace, edits("new"), ids="new")
    until(lambda: len(events.take()) == 3 * JOBS, 60)
    redrive.communicate()
    last = {call.job: str(call.name) for call in simulator.calls()}
    assert set(last.values()) == {f"new-{n}" for n in range(JOBS)}


@pytest.mark.parametrize("by", [TWO_HOURS, f"-{TWO_HOURS}"])
def test_a_letter_of_a_replica_with_a_wrong_clock_does_not_undo_a_newer_edit(
    amqp_url: str,
    namespace: str,
    simulator: Simulator,
    new_worker: NewWorker,
    events: Subscriber,
    console: Console,
    by: str,
) -> None:
    worker = new_worker()
    restarted_skewed(worker, by)
    simulator.answer("-41", times=JOBS)
    publish(amqp_url, namespace, edits("old"), ids="old")
    until(lambda: len(events.take()) == JOBS)
    simulator.clear(record=True)
    restarted(worker)
    publish(amqp_url, namespace, edits("new"), ids="new")
    until(lambda: len(events.take()) == 2 * JOBS)
    told = json.loads(console.run("dead", "redrive", "--all", "--json").stdout)
    assert len(told["superseded"]) == JOBS
    assert names(simulator) == {f"new-{n}" for n in range(JOBS)}


def test_repeats_of_what_a_replica_two_hours_slow_has_settled_are_not_called(
    amqp_url: str,
    namespace: str,
    simulator: Simulator,
    new_worker: NewWorker,
    events: Subscriber,
) -> None:
    worker = new_worker()
    restarted_skewed(worker, f"-{TWO_HOURS}")
    publish(amqp_url, namespace, edits("old"), ids="old")
    until(lambda: len(events.take()) == JOBS)
    restarted(worker)
    publish(amqp_url, namespace, edits("old"), ids="old")
    until(lambda: len(events.take()) == 2 * JOBS)
    applied = [call for call in simulator.calls() if call.applied]
    assert len(applied) == JOBS, "what the API refuses for the wrong clock is signed anew"
    assert len({event["id"] for event in events.take()}) == JOBS
