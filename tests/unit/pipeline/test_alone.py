"""An edit that is suspected of ending the process runs alone, and holds nobody up for long."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.unit.builders import account, properties
from tests.unit.schemas.builders import body, edit
from tests.unit.world import GOOD, World
from worker.core.reply import Answered, Unanswered
from worker.pipeline.poison import Record

if TYPE_CHECKING:
    from tests.unit.fakes import FakeCall

SUSPECT = Record(deaths=2)
POISON = Record(deaths=2, deaths_alone=3, outlived=True)


def overlapping(world: World, suspect: FakeCall) -> list[FakeCall]:
    """The calls that were under way at some time during that of the suspect."""
    assert suspect.ended is not None
    return [
        call
        for call in world.api.calls
        if call is not suspect
        and call.ended is not None
        and call.begun < suspect.ended
        and suspect.begun < call.ended
    ]


@pytest.mark.parametrize("place", [0, 7, 19])
def test_a_suspect_is_called_while_nothing_else_is(place: int) -> None:
    world = World()
    world.suspects.notes[f"m-{place + 1}"] = SUSPECT

    for job in range(20):
        world.publish(job + 1)
    world.finish(within=60.0)

    [suspect] = [call for call in world.api.calls if call.message_id == f"m-{place + 1}"]
    assert not overlapping(world, suspect)
    assert (f"m-{place + 1}", True) in world.suspects.begun
    assert len(world.api.calls) == 20


def test_a_suspect_behind_older_edits_gets_its_turn() -> None:
    """m-2 may be called while the suspect m-4 still waits for m-3 to return, and is older."""
    world = World()
    world.api.latency = lambda: 0.05 if world.api.calls[-1].message_id == "m-1" else 1.0
    world.suspects.notes["m-4"] = SUSPECT
    for job in (1, 1, 2, 3):
        world.publish(job)

    world.finish(within=60.0)

    assert len(world.api.calls) == 4


def test_others_make_room_for_a_suspect_also_those_of_another_lane() -> None:
    world = World()
    world.api.latency = lambda: 1.0
    other, others = world.another_lane(account("other", rate="100/s"))
    world.suspects.notes["m-1"] = SUSPECT
    busy = [(body(edit(jobId=job)), properties(message_id=f"o-{job}")) for job in range(1, 200)]
    for content, own in busy:
        others.publish(content, own)
    world.run(2.0)

    world.publish(1)
    world.run(3.0)

    assert other.tally.calls["0"] < 100
    assert world.lane.tally.calls["0"] == 1


def test_several_suspects_run_one_after_the_other() -> None:
    world = World()
    for number in (2, 3, 5):
        world.suspects.notes[f"m-{number}"] = SUSPECT
    for job in range(1, 7):
        world.publish(job)

    world.finish(within=60.0)

    alone = [call for call in world.api.calls if call.message_id in {"m-2", "m-3", "m-5"}]
    assert len(alone) == 3
    assert not [each for call in alone for each in overlapping(world, call)]


def test_a_suspect_that_went_to_another_replica_does_not_hold_the_other_lanes_up() -> None:
    world = World(script=None)
    other, others = world.another_lane(account("other", rate="1000/s"), script=None)
    world.suspects.notes["m-2"] = SUSPECT
    world.publish(1)
    world.publish(2)
    world.run(1.0)  # m-1 is being called, and m-2 waits to be alone

    world.queue.lose(acks_too=False)
    world.queue.ready.clear()  # somebody else has the lane now
    world.api.answer(world.api.under_way[0], GOOD)
    own = world.queue.published[0]
    others.publish(own.body, own.properties)
    world.run(10.0)

    assert len(world.api.calls) == 1
    assert other.in_flight == 1


def test_a_suspect_of_a_throttled_lane_does_not_hold_the_other_lanes_up() -> None:
    pause = Answered("http:429", retry_after=timedelta(minutes=10))
    world = World(script=lambda call: GOOD if call.task.waiting.alone else pause)
    world.suspects.notes["m-2"] = SUSPECT
    other, others = world.another_lane(account("other", rate="1000/s"))
    world.publish(1)
    world.publish(2)
    world.run(5.0)  # m-2 has asked to be alone while m-1 was being called
    first = world.queue.published[0]

    others.publish(first.body, first.properties)
    world.run(2.0)

    assert other.tally.calls["0"] == 1


def test_poison_is_dead_lettered_without_a_call() -> None:
    world = World()
    world.suspects.notes["m-1"] = POISON
    world.publish(1)
    world.publish(1)

    world.finish()

    [letter] = world.letters()
    assert letter.properties.headers.text("taskedit-reason") == "poison"
    assert [call.message_id for call in world.api.calls] == ["m-2"]
    assert json.loads(world.events()[0].body)["data"]["attempts"] == 0


def test_a_suspect_that_returns_alive_is_no_suspect_any_more() -> None:
    world = World(script=lambda _: Unanswered("no reply"))
    world.suspects.notes["m-1"] = SUSPECT
    world.publish(1)

    world.run(0.5)

    assert len(world.api.calls) == 1
    assert not world.suspects.notes


def test_poison_stays_known_until_its_dead_letter_is_out() -> None:
    world = World()
    world.suspects.notes["m-1"] = POISON
    world.publisher.prompt = False
    world.publish(1)
    world.run(1.0)

    world.lose_channel()
    world.publisher.lose(received=False)
    world.publisher.reopen()
    known = dict(world.suspects.notes)
    world.publisher.prompt = True
    world.finish()

    assert known
    assert not world.suspects.notes
    assert not world.api.calls
    assert len(world.letters()) == 1
