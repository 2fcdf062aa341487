"""Nothing is held too long: the window goes back whole, in order; and a drain ends in order too."""

from __future__ import annotations

from asyncio import sleep
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.unit.builders import account
from tests.unit.world import GOOD, World, by_status, calls_of
from worker.core.judge import Policy
from worker.core.reply import Answered, Shortage, Unanswered

if TYPE_CHECKING:
    from tests.unit.fake_queue import FakeChannel
    from tests.unit.fakes import FakeCall
    from worker.pipeline.settler import Settler

HOLD = 20.0


def longest_held(world: World, seconds: float) -> float:
    """How long any delivery was unacked at most, in that time."""
    since: dict[tuple[FakeChannel, int], float] = {}
    longest = 0.0
    end = world.loop.now() + seconds
    while world.loop.now() < end:
        channel = world.queue.channel
        held = {(channel, tag) for tag in channel.unacked} if channel else set()
        for key in held:
            longest = max(longest, world.loop.now() - since.setdefault(key, world.loop.now()))
        world.run(0.25)
    return longest


def test_a_suspended_lane_gives_its_window_back_before_it_is_held_too_long() -> None:
    world = World(script=by_status("-3"), hold=HOLD)
    for number in range(60):
        world.publish(number % 7 + 1)

    held = longest_held(world, 200.0)

    assert HOLD / 2 < held <= HOLD
    assert world.lane.tally.give_backs >= 10
    world.api.script = lambda _: GOOD
    world.finish(within=100.0)
    assert not world.letters()
    for job in range(1, 8):
        applied = [
            call.message_id
            for call in world.api.calls
            if call.job == job and call.task.reply == GOOD
        ]
        assert applied == [f"m-{n}" for n in range(1, 61) if (n - 1) % 7 + 1 == job]


def test_a_slow_call_is_waited_for_before_the_window_goes_back() -> None:
    serving = account()
    world = World(serving, hold=100.0)
    world.api.latency = lambda: 25.0
    world.api.script = lambda call: GOOD if call.job == 2 else Answered("-3")
    world.publish(1)
    world.run(74.0)  # of the 100 s, the last 25 are left for calls under way
    world.publish(2)

    world.run(60.0)

    assert [call.task.reply for call in world.api.calls].count(None) <= 1
    assert world.lane.tally.give_backs >= 1


def test_a_lane_that_holds_nothing_gives_nothing_back() -> None:
    world = World(hold=HOLD)
    world.publish()

    world.run(500.0)

    assert world.lane.tally.give_backs == 0


def test_a_window_is_given_back_once_and_not_again_while_that_takes_its_time() -> None:
    world = World(script=by_status("-3"), hold=HOLD)
    for job in range(1, 30):
        world.publish(job)

    world.run(HOLD * 1.5)

    assert world.lane.tally.give_backs == 1


def test_attempts_are_counted_on_after_the_window_was_given_back() -> None:
    world = World(account(policy=Policy(attempts=5)), by_status("-46"), hold=HOLD)
    world.publish(1)

    for _ in range(20):
        world.run(2.0)
        world.lose_channel()
    world.finish(within=60.0)

    assert len(world.api.calls) == 5
    [letter] = world.letters()
    assert letter.properties.headers.text("taskedit-attempts") == "5"


def test_a_bad_edit_is_used_up_although_its_window_is_given_back_between_its_attempts() -> None:
    world = World(hold=8.0)
    world.api.script = lambda call: Unanswered("no reply") if call.job == 1 else GOOD
    world.publish(1)

    for job in range(2, 60):
        world.publish(job)
        world.run(1.0)
    world.finish(within=60.0)

    [letter] = world.letters()
    assert letter.properties.headers.text("taskedit-reason") == "exhausted"


def test_a_drain_starts_no_call_and_settles_those_under_way() -> None:
    world = World(account(rate="1000/s", concurrency=4))
    for job in range(1, 50):
        world.publish(job)
    world.run(0.03)
    under_way = len(world.api.under_way)

    world.lane.drain()
    quiet_at_once = world.lane.is_quiet
    world.publish(99)
    world.run(5.0)

    assert under_way == 4
    assert not quiet_at_once
    assert world.lane.is_quiet
    assert len(world.api.calls) == len(world.events()) == 4
    assert world.queue.channel
    assert len(world.queue.channel.unacked) == 46


def test_a_lane_is_not_quiet_while_a_message_that_cannot_be_called_is_settled() -> None:
    world = World()
    world.publisher.prompt = False
    world.publish(mode="X")
    world.run(1.0)

    assert not world.lane.is_quiet
    world.publisher.prompt = True
    world.publisher.lose(received=False)
    world.publisher.reopen()
    world.run(1.0)
    assert world.lane.is_quiet


@pytest.mark.parametrize("lost", ["lease", "publisher"])
def test_without_a_lease_or_a_publisher_no_call_starts_until_they_are_back(lost: str) -> None:
    world = World()
    if lost == "lease":
        world.lease = False
    else:
        world.publisher.is_open = False
    for job in range(1, 10):
        world.publish(job)
    world.run(30.0)
    called = len(world.api.calls)

    world.lease = True
    world.publisher.reopen()
    world.finish(within=10.0)

    assert called == 0
    assert len(world.events()) == 9


def test_a_call_whose_turn_comes_when_the_lease_has_run_out_is_not_made_and_not_counted() -> None:
    """Threads may be late: the lease is asked for once more right before the call."""
    world = World()
    answers = iter((True, False))
    world.lease_holds = lambda: next(answers, True)
    world.publish(1)

    world.finish(within=10.0)

    assert len(world.api.calls) == 1
    assert b'"attempts":1' in world.events()[0].body
    assert next(answers, None) is None


def test_a_call_that_the_machine_lacks_something_for_is_made_again_and_counts_nothing() -> None:
    """Nobody is to blame, however often: neither edit nor account."""
    short = [Shortage("Too many open files")] * 20
    world = World(script=lambda _: short.pop() if short else GOOD)
    world.publish(1)

    world.finish(within=60.0)

    assert len(world.api.calls) == 21
    assert b'"attempts":1' in world.events()[0].body
    assert world.lane.tally.suspensions == 0


def test_no_call_starts_for_a_consumer_that_rabbitmq_has_cancelled() -> None:
    """Its channel is being closed, and another replica may have the window already."""
    world = World(account(rate="1000/s", concurrency=1), script=None)
    world.publish(1)
    world.publish(2)
    world.run(1.0)
    assert world.queue.channel

    world.queue.gap = 1000.0  # it is not consumed again
    world.queue.channel.cancel()
    world.api.answer(world.api.under_way[0], GOOD)
    world.run(5.0)

    assert len(world.api.calls) == 1


def idle(world: World) -> float:
    return world.loop.now() - world.lane.idle_since


@pytest.mark.parametrize("blocked", ["throttled", "suspended", "in flight", "letter", "lease"])
def test_a_lane_that_waits_for_others_counts_as_alive(blocked: str) -> None:
    """The liveness probe fails when an edit that could be sent has not been for a minute."""
    world = World(account(rate="1000/s", concurrency=4), hold=10_000.0)
    match blocked:
        case "throttled":
            world.api.script = lambda _: Answered("http:429", retry_after=timedelta(minutes=30))
        case "suspended":
            world.api.script = by_status("-1")
        case "in flight":
            world.api.script = None
        case "letter":
            world.api.script = by_status("-33")
            world.publisher.prompt = False
        case _:
            world.lease = False
    for _ in range(3):  # two of a job that wait for the one before
        world.publish(1)

    world.run(300.0)

    assert idle(world) < 60.0
    assert len(calls_of(world, 1)) < 20


def test_a_lane_that_could_send_and_does_not_is_seen() -> None:
    world = World()
    world.lane.pump = lambda: None  # type: ignore[method-assign]  # a wake-up lost for ever
    world.publish()

    world.run(90.0)

    assert idle(world) > 60.0


def test_a_call_that_left_before_memory_was_short_has_its_time_before_it_is_made_again() -> None:
    """The API may be at it still."""

    def lacking(call: FakeCall) -> Shortage:
        call.task.left_at = call.begun
        return Shortage("no memory left")

    world = World(script=lacking)
    timeout = world.lane.account.endpoint.call_timeout.total_seconds()
    world.publish()

    world.run(timeout - 1)
    assert len(world.api.calls) == 1
    world.run(5)
    assert len(world.api.calls) == 2


@pytest.mark.parametrize("channel_lost", [False, True])
def test_an_edit_whose_settling_raised_is_called_again_once_the_window_went_back(
    *, channel_lost: bool
) -> None:
    world = World(hold=HOLD)
    settle, short = world.shared.settler, [MemoryError()]

    class Short:
        def __getattr__(self, name: str) -> object:
            return getattr(settle, name)

        async def carry_out(self, *given: Any) -> bool:  # noqa: ANN401 (as the settler's)
            if short and channel_lost:
                world.lose_channel()
                await sleep(1)
            if short:
                raise short.pop()
            return await settle.carry_out(*given)

    world.shared.settler = cast("Settler", Short())
    world.publish()

    world.finish(within=HOLD / 2 if channel_lost else 10 * HOLD)

    assert len(world.events()) == 1
