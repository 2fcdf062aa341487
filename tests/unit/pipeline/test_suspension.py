"""The account's or the API's fault: stop, keep everything, probe, go on; nobody is blamed."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from tests.unit.builders import account
from tests.unit.world import GOOD, World, by_status, calls_of
from worker.core.circuit import State
from worker.core.judge import Policy
from worker.core.reply import Answered, Reply, Unanswered

if TYPE_CHECKING:
    from tests.unit.fakes import FakeCall

NOTHING = Unanswered("no reply")


def down_until(time: float, world: World, reply: Reply) -> None:
    """The API says this of every call until then, and all is well after."""
    world.api.script = lambda _: reply if world.loop.now() < time else GOOD


def gaps(calls: list[FakeCall]) -> list[int]:
    """Whole seconds between the end of a call and the begin of the next."""
    return [round(later.begun - before.ended) for before, later in pairwise(calls) if before.ended]


@pytest.mark.parametrize("reply", [Answered("-3"), Answered("-5"), NOTHING])
def test_a_suspended_lane_keeps_its_edits_and_applies_them_all_in_order_afterwards(
    reply: Reply,
) -> None:
    world = World()
    down_until(world.loop.now() + 20, world, reply)

    for number in range(200):
        world.publish(number % 50 + 1)
    world.finish(within=120.0)

    assert not world.letters()
    assert len(world.events()) == 200
    assert world.lane.tally.suspensions == 1
    assert all(f'"attempts":{n}'.encode() not in e.body for e in world.events() for n in (3, 4, 5))


def test_probes_come_after_1_2_4_and_so_on_up_to_60_seconds_with_each_waiting_job_in_turn() -> None:
    world = World(account(rate="1000/s", concurrency=1), by_status("-3"))
    for job in (1, 2, 2, 3):
        world.publish(job)

    world.run(370.0)

    assert gaps(world.api.calls) == [1, 2, 4, 8, 16, 32] + [60] * 5
    first, *probes = (call.message_id for call in world.api.calls)
    assert first == "m-1"
    assert probes[:6] == ["m-1", "m-2", "m-4", "m-1", "m-2", "m-4"]  # m-3 waits behind m-2


def test_one_answer_resumes_the_lane_at_once_and_all_its_edits_go() -> None:
    world = World(script=by_status("-3"))
    for job in range(1, 21):
        world.publish(job)
    world.run(10.0)
    called = len(world.api.calls)

    world.api.script = lambda _: GOOD
    world.run(8.0)

    assert world.queue.is_empty
    assert len(world.api.calls) == called + 20
    assert world.lane.standing.health.state is State.RUNNING


@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_a_lone_edit_outlives_an_outage_of_two_minutes(attempts: int) -> None:
    world = World(account(policy=Policy(attempts=attempts)))
    down_until(world.loop.now() + 120, world, NOTHING)

    world.publish()
    world.finish(within=300.0)

    assert not world.letters()
    assert len(world.events()) == 1


@pytest.mark.parametrize(
    ("attempts", "place"), [(1, 0), (1, 199), (2, 100), (5, 0), (5, 100), (5, 199)]
)
def test_one_edit_that_makes_the_api_fail_is_used_up_alone_and_holds_nobody_up(
    attempts: int, place: int
) -> None:
    bad = f"m-{place + 1}"
    world = World(account(rate="100/s", policy=Policy(attempts=attempts)))
    world.api.script = lambda call: NOTHING if call.message_id == bad else GOOD

    for number in range(200):
        world.publish(number + 1)
    world.run(10.0)  # at the very least
    applied_by_then = len(world.events()) - len(world.letters())
    world.publish(1000)
    world.finish(within=200.0)

    [letter] = world.letters()
    assert letter.properties.message_id == bad
    assert letter.properties.headers.text("taskedit-reason") == "exhausted"
    assert letter.properties.headers.text("taskedit-attempts") == str(attempts)
    assert applied_by_then == 199


def test_hours_of_outage_with_a_full_queue_make_no_dead_letter_and_keep_the_order() -> None:
    world = World()
    down_until(world.loop.now() + 2 * 3600, world, NOTHING)

    for number in range(250):
        world.publish(number % 5 + 1)
    world.finish(within=3 * 3600.0)

    assert not world.letters()
    assert world.lane.tally.give_backs >= 5
    for job in range(1, 6):
        called = calls_of(world, job)
        applied = list(dict.fromkeys(called))
        assert called == sorted(called, key=applied.index)
        assert applied == [f"m-{number}" for number in range(1, 251) if (number - 1) % 5 + 1 == job]


def test_an_api_that_comes_and_goes_makes_no_dead_letter() -> None:
    world = World(account(rate="20/s"))
    world.api.script = lambda _: GOOD if world.loop.now() % 37 < 5 else NOTHING

    for number in range(150):
        world.publish(number + 1)
    world.finish(within=3600.0)

    assert not world.letters()
    assert len(world.events()) == 150


def test_a_suspended_account_does_not_delay_another() -> None:
    world = World(script=by_status("-3"))
    _, others = world.another_lane(account("other", rate="100/s"))
    own = world.publish(1)
    world.run(5.0)

    for _ in range(20):
        others.publish(own.body, replace(own.properties, message_id=None))
    world.run(2.0)

    assert others.is_empty
    assert not world.queue.is_empty


def test_a_signature_that_expired_is_made_anew_at_once_and_counts_as_no_attempt() -> None:
    replies = iter((Answered("-4"), GOOD))
    world = World(script=lambda _: next(replies))

    world.publish()
    world.run(0.5)

    assert len(world.api.calls) == 2
    assert b'"attempts":1' in world.events()[0].body


def test_a_suspended_lane_starts_one_probe_at_a_time() -> None:
    world = World(script=by_status("-3"))
    for job in range(1, 50):
        world.publish(job)
    world.run(0.5)
    seen: list[int] = []
    world.api.latency = lambda: 5.0
    world.api.watch = lambda _: seen.append(len(world.api.under_way))

    world.run(300.0)

    assert len(seen) > 5
    assert set(seen) == {0}
