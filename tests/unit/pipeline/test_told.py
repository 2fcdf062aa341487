"""One canonical line an edit, and what is counted of it; never what it says."""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from tests.unit.builders import account, properties
from tests.unit.schemas.builders import body, edit
from tests.unit.world import World, by_status

if TYPE_CHECKING:
    from structlog.typing import EventDict

CANARY = "a name that nobody may read in a log"


def lines(world: World) -> list[EventDict]:
    with capture_logs() as logged:
        world.finish()
    return logged


@pytest.mark.parametrize(
    ("status", "facts"),
    [
        ("0", {"outcome": "applied", "api_status": "0", "attempts": 1}),
        ("-33", {"outcome": "rejected", "reason": "api_rejected", "api_status": "-33"}),
    ],
)
def test_an_edit_is_told_of_in_one_line_with_its_ids_and_without_its_content(
    status: str, facts: dict[str, object]
) -> None:
    world = World(script=by_status(status))
    own = properties(message_id="m-7", correlation_id="c-7")
    world.queue.publish(body(edit(jobId=9, name=CANARY)), own)

    logged = lines(world)

    [line] = [each for each in logged if each["event"] == "edit"]
    [event] = world.events()
    ids = {
        "account": "acme",
        "app_id": "LILIN888",
        "job_id": 9,
        "message_id": "m-7",
        "correlation_id": "c-7",
        "event_id": event.properties.message_id,
    }
    assert line.items() >= (ids | facts).items()
    assert CANARY not in str(logged)


def test_a_repeat_is_told_of_as_such() -> None:
    world = World()
    message = world.publish()
    world.finish()
    world.queue.publish(message.body, message.properties)

    [line] = lines(world)

    assert (line["event"], line["outcome"]) == ("edit", "repeated")


def test_a_bad_message_is_told_of_without_its_content() -> None:
    world = World()
    world.queue.publish(CANARY.encode(), properties())
    world.queue.publish(body(edit(name=CANARY, mode=CANARY)), properties(message_id="m-2"))

    logged = lines(world)

    assert [line["reason"] for line in logged] == ["malformed", "invalid"]
    assert CANARY not in str(logged)


def test_no_line_says_anything_of_the_credentials() -> None:
    world = World(account(api_key="canary-key"), by_status("-1"))
    world.publish()

    with capture_logs() as logged:
        world.run(60.0)

    assert [line["event"] for line in logged] == ["lane_suspended"]
    assert "canary-key" not in str(logged)
    assert "canary-key" not in repr(world.account)


def test_a_change_of_state_is_told_of_once_with_why() -> None:
    world = World(script=by_status("-3"))
    for job in range(1, 30):
        world.publish(job)
    with capture_logs() as logged:
        world.run(100.0)
        world.api.script = by_status("0")
        world.finish()

    changes = [line for line in logged if line["event"].startswith("lane_")]
    assert [line["event"] for line in changes] == ["lane_suspended", "lane_running"]
    assert changes[0]["why"] == "the API answered -3 (balance exhausted)"
    assert changes[0]["api_status"] == "-3"


def test_outcomes_calls_and_durations_are_counted() -> None:
    world = World()
    world.api.script = lambda call: by_status("-33" if call.job == 2 else "0")(call)
    for job in (1, 2, 3):
        world.publish(job)
    world.publish(mode="X")
    world.finish()

    tally = world.lane.tally
    assert dict(tally.outcomes) == {
        ("applied", ""): 2,
        ("rejected", "api_rejected"): 1,
        ("rejected", "invalid"): 1,
    }
    assert dict(tally.calls) == {"0": 2, "-33": 1}
    assert sum(tally.call_seconds.counts) == 3
    assert sum(tally.outcome_seconds.counts) == 4
    assert tally.deliveries == 4
    assert tally.last_success is not None


@pytest.mark.parametrize("stamp", [None, 0, 1_772_000_000_000, 2**63])
def test_a_timestamp_that_makes_no_sense_is_not_counted_from(stamp: int | None) -> None:
    world = World()
    world.queue.publish(body(edit()), properties(timestamp=stamp))

    [line] = lines(world)

    assert line["outcome"] == "applied"


def test_the_time_to_the_outcome_counts_from_when_it_was_published() -> None:
    world = World()
    world.queue.publish(body(edit()), properties(timestamp=int(time()) - 50))

    [line] = lines(world)

    assert 49 <= line["seconds"] < 120
