"""Things handed from threads to the loop: all of them, in order, with few wake-ups."""

from __future__ import annotations

from itertools import pairwise
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.fakes import FakeLoop
from worker.loop import LINGER, Mailbox

if TYPE_CHECKING:
    from collections.abc import Callable


class CountingLoop(FakeLoop):
    """A loop that counts how often it is woken."""

    wakes = 0

    def post(self, callback: Callable[[], None]) -> None:
        self.wakes += 1
        super().post(callback)


class Bench:
    """A mailbox on such a loop."""

    def __init__(self) -> None:
        self.loop = CountingLoop()
        self.found: list[int] = []
        self.box: Mailbox[int] = Mailbox(self.loop, self.found.append)

    @property
    def wakes(self) -> int:
        return self.loop.wakes


def test_what_comes_before_the_loop_looks_costs_one_wake_up() -> None:
    bench = Bench()

    for number in range(100):
        bench.box.put(number)
    bench.loop.run()

    assert bench.found == list(range(100))
    assert bench.wakes == 1


def test_under_load_the_loop_looks_again_by_itself_and_is_not_woken() -> None:
    bench = Bench()
    for number in range(5):
        bench.box.put(number)
    bench.loop.run()

    for number in range(5, 10):
        bench.box.put(number)
    bench.loop.run(LINGER)

    assert bench.found == list(range(10))
    assert bench.wakes == 1


def test_a_single_thing_is_delivered_at_once_and_ends_the_lingering() -> None:
    bench = Bench()
    for number in range(3):
        bench.box.put(number)
        bench.loop.run()

    assert bench.found == [0, 1, 2]
    assert bench.wakes == 3


@given(
    steps=st.lists(
        st.one_of(st.integers(1, 4), st.sampled_from((0.0, LINGER / 2, LINGER, 1.0))), max_size=40
    )
)
@settings(max_examples=40)
def test_nothing_is_lost_or_turned_round_and_nothing_waits_longer_than_the_lingering(
    steps: list[int | float],
) -> None:
    bench = Bench()
    put = 0

    for step in steps:
        if isinstance(step, int):
            for _ in range(step):
                bench.box.put(put)
                put += 1
        else:
            bench.loop.run(step)
    bench.loop.run(2 * LINGER)

    assert bench.found == list(range(put))


def test_things_of_several_threads_all_arrive_each_threads_own_in_order() -> None:
    bench = Bench()

    def put(first: int) -> None:
        for number in range(500):
            bench.box.put(first + number)

    putters = [Thread(target=put, args=(first,)) for first in (0, 1000, 2000)]
    for thread in putters:
        thread.start()
    while any(thread.is_alive() for thread in putters) or len(bench.found) < 1500:
        bench.loop.run(LINGER)
    for first in (0, 1000, 2000):
        own = [number for number in bench.found if first <= number < first + 1000]
        assert len(own) == 500
        assert all(before < after for before, after in pairwise(own))


class ShortOfMemory(CountingLoop):
    """Has no memory for the first wake-up."""

    def post(self, callback: Callable[[], None]) -> None:
        if not self.wakes:
            self.wakes += 1
            raise MemoryError
        super().post(callback)


def test_what_could_not_wake_the_loop_wakes_it_the_next_time() -> None:
    loop, found = ShortOfMemory(), list[int]()
    box: Mailbox[int] = Mailbox(loop, found.append)
    with pytest.raises(MemoryError):
        box.put(1)

    box.put(2)
    loop.run(1.0)

    assert found == [1, 2]
