from __future__ import annotations

from functools import partial
from threading import Thread

import pytest

from worker.apply.loop import PlainLoop


def test_timers_fire_in_the_order_of_their_times_and_cancelled_ones_do_not() -> None:
    loop, fired = PlainLoop(), list[str]()
    loop.call_later(0.02, loop.stop)
    loop.call_later(0.01, lambda: fired.append("second"))
    loop.call_later(0.0, lambda: fired.append("first"))
    gone = loop.call_later(0.005, lambda: fired.append("never"))
    loop.cancel(gone)
    loop.run()
    assert fired == ["first", "second"]
    loop.cancel(gone)


def test_what_other_threads_post_wakes_it() -> None:
    loop = PlainLoop()
    Thread(target=lambda: loop.post(loop.stop)).start()
    loop.run()


def test_a_callback_that_raises_ends_it() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    loop = PlainLoop()
    loop.post(fail)
    with pytest.raises(ZeroDivisionError):
        loop.run()


def test_it_can_turn_again_after_a_stop() -> None:
    loop, turns = PlainLoop(), list[int]()
    for turn in range(2):
        loop.post(partial(turns.append, turn))
        loop.post(loop.stop)
        loop.run()
    assert turns == [0, 1]
