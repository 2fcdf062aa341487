"""A lane passes over what a newer waiting edit repeats, and settles it before that one's own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.builders import account, headers, properties
from tests.unit.schemas.builders import body, edit
from tests.unit.world import GOOD, World, by_status, calls_of
from worker.core.message import ConfirmResult
from worker.core.reply import Answered, Unanswered

if TYPE_CHECKING:
    from tests.unit.fakes import FakeCall
    from worker.core.reply import Reply


def coalescing(**changes: Any) -> World:  # noqa: ANN401 (fields of an account)
    """A world whose lane waits to be opened, so that edits wait together."""
    world = World(account(rate="1000/s", coalesce=True, **changes))
    world.lease = False
    return world


def go(world: World) -> None:
    """Calls may start."""
    world.lease = True
    world.lane.pump()
    world.finish()


def told(world: World) -> list[tuple[str, str, str | None]]:
    """Message id, outcome and by whom superseded, in the order of the confirms."""
    found = [json.loads(event.body)["data"] for event in world.events()]
    return [(data["messageId"], data["outcome"], data.get("supersededBy")) for data in found]


def test_the_newest_is_called_and_the_older_ones_are_settled_before_it_oldest_first() -> None:
    world = coalescing()
    for _ in range(3):
        world.publish(1)
    go(world)

    assert calls_of(world, 1) == ["m-3"]
    assert told(world) == [
        ("m-1", "superseded", "m-3"),
        ("m-2", "superseded", "m-3"),
        ("m-3", "applied", None),
    ]
    assert not world.letters()
    assert world.lane.tally.outcomes == {("superseded", ""): 2, ("applied", ""): 1}


def test_without_the_setting_each_is_called() -> None:
    world = World()
    for _ in range(3):
        world.publish(1)
    world.finish()

    assert calls_of(world, 1) == ["m-1", "m-2", "m-3"]


def test_an_edit_that_states_more_is_not_passed_over() -> None:
    world = coalescing()
    world.publish(1, daysOfWeek=["MONDAY"])
    world.publish(1)
    world.publish(1)
    go(world)

    assert calls_of(world, 1) == ["m-1", "m-3"]


def test_when_the_newer_is_rejected_the_older_are_called_after_all_and_it_is_called_once() -> None:
    world = coalescing()
    for _ in range(3):
        world.publish(1)

    def refuse(call: FakeCall) -> Reply:
        return Answered("-33") if call.message_id == "m-3" else GOOD

    world.api.script = refuse
    go(world)

    assert calls_of(world, 1) == ["m-3", "m-2"]
    assert told(world) == [
        ("m-1", "superseded", "m-2"),
        ("m-2", "applied", None),
        ("m-3", "rejected", None),
    ]
    [letter] = world.letters()
    assert letter.properties.headers.text("taskedit-attempts") == "1"


def test_an_edit_that_comes_while_a_call_is_made_again_is_called_instead() -> None:
    world = coalescing()
    world.publish(1)
    world.publish(1)
    failing = iter((Unanswered("no reply"),))
    world.api.script = lambda _: next(failing, GOOD)
    world.lease = True
    world.lane.pump()
    world.run(0.1)
    world.publish(1)
    world.finish()

    assert calls_of(world, 1) == ["m-2", "m-3"]
    assert {outcome for _, outcome, _ in told(world)[:2]} == {"superseded"}


def test_a_suspended_lane_probes_with_the_newest_and_calls_it_once_it_goes_on() -> None:
    world = coalescing()
    world.api.script = by_status("-3")
    for job in (1, 2, 1, 2):
        world.publish(job)
    world.lease = True
    world.lane.pump()
    world.run(5.0)
    world.api.script = lambda _: GOOD
    world.finish()

    assert set(calls_of(world, 1)) == {"m-3"}
    assert set(calls_of(world, 2)) == {"m-4"}


@pytest.mark.parametrize("acked", [0, 1, 2])
def test_after_a_crash_between_two_acks_the_latest_edits_come_back_and_end_as_before(
    acked: int,
) -> None:
    world = coalescing()
    for _ in range(3):
        world.publish(1)
    world.publisher.prompt = False
    world.lease = True
    world.lane.pump()
    world.run(0.1)
    for _ in range(acked):
        [pending] = world.publisher.outstanding
        world.publisher.settle(pending, ConfirmResult.CONFIRMED)
        world.run(0.1)
    world.killed()
    world.publisher.prompt = True
    world.finish()

    assert calls_of(world, 1) == ["m-3", "m-3"]
    assert [each[:2] for each in dict.fromkeys(told(world))] == [
        ("m-1", "superseded"),
        ("m-2", "superseded"),
        ("m-3", "applied"),
    ]


def test_what_was_rejected_and_sent_again_is_called_by_itself() -> None:
    world = coalescing()
    world.publish(1)
    again = properties(message_id="m-0", headers=headers(taskedit_redrives="1"))
    world.queue.publish(body(edit(jobId=1)), again)
    world.publish(1)
    go(world)

    assert calls_of(world, 1) == ["m-1", "m-0", "m-3"]
