"""Every call takes a slot of the account's limits: first ones, retries, probes, second signings."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.unit.builders import account
from tests.unit.core.test_rate_limit import overfull
from tests.unit.world import GOOD, World, by_status
from worker.core.message import ConfirmResult
from worker.core.rate_limit import SLOTS_TYPE, rates, reserved
from worker.core.reply import Answered, Unanswered

if TYPE_CHECKING:
    from worker.core.reply import Reply

MIXED: tuple[Reply, ...] = (
    GOOD,
    GOOD,
    GOOD,
    Answered("-5"),
    Answered("-46"),
    Answered("-4"),
    Answered("-3"),
    Answered("http:429"),
    Unanswered("no reply"),
)


def begun(world: World) -> list[float]:
    return [call.begun for call in world.api.calls]


@pytest.mark.parametrize("rate", ["500/s", "20/s,600/m", "7/s,60/m,500/h"])
@pytest.mark.parametrize("seed", range(2))
def test_no_window_of_any_limit_holds_too_many_calls_whatever_the_api_answers(
    rate: str, seed: int
) -> None:
    chance = Random(seed)
    serving = account(rate=rate, concurrency=64)
    world = World(serving, lambda _: chance.choice(MIXED), late=lambda: chance.uniform(0, 0.002))
    world.api.latency = lambda: chance.uniform(0.001, 0.3)

    for number in range(150):
        if number % 30 == 0:
            world.run(chance.uniform(0, 5))
        world.publish(number % 67 + 1)
    world.run(30.0)

    assert len(world.api.calls) > 30
    assert not overfull(begun(world), rates(rate))


@pytest.mark.parametrize("rate", ["20/s", "200/s", "40/s,60/m"])
@pytest.mark.parametrize("late_by", [0.0, 0.001])
def test_while_there_is_work_at_least_97_percent_of_the_limit_are_used(
    rate: str, late_by: float
) -> None:
    chance = Random(rate)
    serving = account(rate=rate, concurrency=32)
    world = World(serving, late=lambda: chance.uniform(0, late_by))
    slowest = min(limit.calls / limit.seconds for limit in rates(rate))

    for number in range(200):
        world.publish(number + 1)
    world.run(0.02)
    begins = world.loop.now()
    world.finish()

    made = begun(world)
    assert len(made) == 200
    assert not overfull(made, rates(rate))
    assert made[-1] - begins <= 200 / (0.97 * slowest)


def test_idleness_buys_no_burst() -> None:
    world = World(account(rate="10/s"))
    world.publish(1)
    world.run(3600.0)

    for job in range(20):
        world.publish(job + 2)
    world.finish()

    made = begun(world)[1:]
    assert not overfull(made, rates("10/s"))
    assert made[9] - made[0] >= 0.9


def test_concurrency_bounds_the_calls_under_way() -> None:
    world = World(account(rate="1000/s", concurrency=3))
    world.api.latency = lambda: 1.0
    seen: list[int] = []
    world.api.watch = lambda _: seen.append(len(world.api.under_way))

    for job in range(1, 13):
        world.publish(job)
    world.finish()

    assert max(seen) == 2  # beside the one that begins
    assert len(seen) == 12


def test_no_call_starts_while_as_many_wait_for_their_confirm_as_may_be_under_way() -> None:
    world = World(account(rate="1000/s", concurrency=3))
    world.publisher.prompt = False

    for job in range(1, 13):
        world.publish(job)
    world.run(30.0)

    assert len(world.api.calls) <= 5  # three unconfirmed, and those under way before
    assert world.lane.unconfirmed >= 3


@pytest.mark.parametrize("asked", [timedelta(seconds=7), timedelta(minutes=5)])
def test_a_throttled_account_pauses_for_as_long_as_it_was_asked_and_counts_no_attempt(
    asked: timedelta,
) -> None:
    slow_down = Answered("http:429", retry_after=asked)
    world = World(account(rate="100/s"))
    world.api.script = lambda _: slow_down if len(world.api.calls) == 5 else GOOD

    for job in range(1, 51):
        world.publish(job)
    world.finish(within=600.0)

    told = next(call for call in world.api.calls if call.task.reply is slow_down)
    assert told.ended is not None
    later = [call.begun for call in world.api.calls if call.begun > told.ended]
    assert min(later) >= told.ended + asked.total_seconds()
    assert len(world.events()) == 50
    assert all(b'"attempts":1' in event.body for event in world.events())


def test_a_throttled_account_does_not_delay_another() -> None:
    world = World(script=by_status("http:429"))
    other, others = world.another_lane(account("other", rate="100/s"))
    for job in range(1, 20):
        message = world.publish(job)
        others.publish(message.body, message.properties)

    world.run(1.0)

    assert others.is_empty
    assert other.tally.throttles == 0
    assert world.lane.tally.throttles > 0


def test_other_limits_hold_from_when_they_are_adopted() -> None:
    world = World(account(rate="100/s"))
    for job in range(1, 200):
        world.publish(job)
    world.run(1.0)
    before = len(world.api.calls)

    world.lane.adopt(account(rate="5/s"), world.api)
    world.run(4.0)

    assert before > 90
    assert 18 <= len(world.api.calls) - before <= 20


def test_calls_of_another_holder_that_the_journal_tells_of_count_in_a_longer_window() -> None:
    world = World(account(rate="100/s,60/m"))
    known = [world.loop.now() - 30.0] * 50
    world.queue.taken = known
    for job in range(1, 100):
        world.publish(job)

    world.run(20.0)

    assert len(world.api.calls) == 10


def test_calls_without_an_event_count_also_when_the_queue_is_taken_anew() -> None:
    world = World(account(rate="100/s,60/m"), by_status("-46"))
    for job in range(1, 100):
        world.publish(job)

    for _ in range(8):
        world.run(5.0)
        world.lose_channel()

    assert not overfull(begun(world), rates("100/s,60/m"))


@pytest.mark.parametrize("status", ["-46", "-5", "0"])
def test_no_death_of_the_process_forgets_what_was_used_of_a_long_limit(status: str) -> None:
    """Calls that are to be made again leave no event, and so nothing that tells of them."""
    world = World(account(rate="50/s,100/m", concurrency=16), by_status(status))
    for job in range(1, 600):
        world.publish(job)

    for _ in range(20):
        world.run(8.0)
        world.killed()

    made = begun(world)
    assert len(made) >= 150, "too few for a proof: what was reserved and not used is lost"
    assert not overfull(made, rates("50/s,100/m"))


def test_slots_that_the_journal_does_not_take_are_waited_for() -> None:
    world = World(account(rate="50/s,100/m"))
    world.publisher.fate = lambda sent: (
        ConfirmResult.REFUSED if sent.properties.type == SLOTS_TYPE else ConfirmResult.CONFIRMED
    )
    world.publish(1)
    world.run(30.0)
    assert not world.api.calls

    world.publisher.fate = lambda _: ConfirmResult.CONFIRMED
    world.finish()

    assert len(world.api.calls) == 1


def test_no_more_slots_are_reserved_than_there_are_edits_to_call() -> None:
    world = World(account(rate="50/s,6000/m"))

    for job in range(1, 8):
        world.publish(job)
        world.run(20.0)
    for job in range(8, 48):
        world.publish(job)
    world.finish()

    blocks = [reserved(block) or ("", 0) for block in world.blocks()]
    assert sum(calls for _, calls in blocks) == 47


def test_a_limit_that_is_added_waits_only_for_what_was_called() -> None:
    """Not for a whole window, as though it had been used up."""
    world = World(account(rate="1000/h"))
    for job in range(1, 30):
        world.publish(job)
    world.run(20.0)
    before = len(world.api.calls)

    world.lane.adopt(account(rate="50/s,1000/h,2000/d"), world.api)
    world.run(2.0)

    assert len(world.api.calls) - before > 20


def test_a_limit_that_is_added_counts_the_calls_of_before() -> None:
    world = World(account(rate="50/s"))
    for job in range(1, 300):
        world.publish(job)
    world.run(3.0)
    before = len(world.api.calls)

    world.lane.adopt(account(rate="50/s,160/m"), world.api)
    world.run(10.0)

    assert 100 < before < 160
    assert len(world.api.calls) == 160
    spent = world.lane.used_up(world.loop.now())
    assert spent is not None
    assert str(spent[0]) == "160/m"
    assert 40 < spent[1] - world.loop.now() < 60


def test_what_the_journal_tells_counts_under_a_limit_that_is_added() -> None:
    world = World(account(rate="50/s"))
    world.publish(1)
    world.finish()
    now = world.loop.now()

    world.lane.adopt(account(rate="50/s,100/m"), world.api, [now - 30] * 100)
    world.publish(2)
    world.run(20.0)
    assert len(world.api.calls) == 1
    world.finish()

    assert begun(world)[-1] - now == pytest.approx(31.0, abs=1.5)
