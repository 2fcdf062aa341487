"""What no call can be made of has its share of the loop's time, and no more."""

from __future__ import annotations

from asyncio import sleep
from functools import partial

from tests.unit.fakes import FakeLoop
from worker.pipeline.refusals import AT_ONCE, SHARE, Budget, Refusals

COST = 0.004
"""Seconds of the loop that one refusal takes."""


class Work:
    """Refusals that take time, and how many of them were done by whom."""

    def __init__(self, *queues: str) -> None:
        self.loop = FakeLoop()
        self.done: list[str] = []
        budget = Budget()
        self.queues = {name: Refusals(self.loop, budget) for name in queues}

    def put(self, queue: str, count: int) -> None:
        for _ in range(count):
            self.queues[queue].put(partial(self._refuse, queue))

    async def _refuse(self, queue: str) -> None:
        self.loop.time += COST / 2
        await sleep(0.001)
        self.loop.time += COST / 2
        self.done.append(queue)


def test_a_flood_takes_its_share_of_the_time_and_is_worked_off_in_the_end() -> None:
    work, seconds = Work("a"), 10.0
    begun = work.loop.time

    work.put("a", 1000)
    work.loop.run(seconds)
    done = len(work.done)
    work.loop.run(1000 * COST / SHARE)

    allowed = AT_ONCE + (work.loop.time - begun) * SHARE
    assert done * COST <= AT_ONCE + 2 * COST + seconds * SHARE
    assert done * COST >= 0.9 * seconds * SHARE
    assert len(work.done) == 1000
    assert allowed + COST >= 1000 * COST


def test_two_floods_share() -> None:
    work = Work("a", "b")

    work.put("a", 500)
    work.put("b", 500)
    work.loop.run(10.0)

    assert len(work.done) < 600
    assert min(work.done.count("a"), work.done.count("b")) > 0.8 * len(work.done) / 2


def test_the_first_few_wait_for_nothing() -> None:
    work = Work("a")

    work.put("a", int(AT_ONCE / COST))
    work.loop.run(AT_ONCE + 0.01)

    assert len(work.done) == int(AT_ONCE / COST)


def test_what_went_back_to_its_queue_is_not_refused() -> None:
    work = Work("a")

    work.put("a", 100)
    work.queues["a"].clear()
    work.loop.run(10.0)

    assert len(work.done) <= 1, "the first had begun"
