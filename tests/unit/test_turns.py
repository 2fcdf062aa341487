"""What is to be done soon is done in the same turn of the loop; a bug ends it."""

from __future__ import annotations

import socket

import pytest

from worker.loop import Loop


def test_what_is_to_be_done_soon_is_done_before_the_loop_waits_again() -> None:
    loop, done = Loop(), list[str]()

    def first() -> None:
        done.append("first")
        loop.soon(lambda: done.append("second"))
        loop.post(next_turn)

    def next_turn() -> None:
        done.append("next turn")
        loop.stop()

    loop.post(lambda: loop.soon(first))
    loop.post(lambda: done.append("posted"))
    loop.run()

    assert done == ["posted", "first", "second", "next turn"]


def test_what_a_callback_raises_ends_the_loop_and_is_raised_by_it() -> None:
    def bug() -> None:
        raise LookupError("a bug")

    loop = Loop()
    loop.post(bug)

    with pytest.raises(LookupError, match="a bug"):
        loop.run()


def test_other_threads_may_post_to_a_loop_that_has_ended() -> None:
    loop, done = Loop(), list[str]()
    loop.post(loop.stop)
    loop.run()

    loop.post(lambda: done.append("too late"))

    assert not done


def test_input_is_looked_for_however_many_callbacks_lead_to_callbacks() -> None:
    loop = Loop()
    ours, theirs = socket.socketpair()

    def again() -> None:
        loop.aio.call_soon(again)

    with ours, theirs:
        loop.aio.add_reader(ours, loop.stop)
        loop.post(again)
        theirs.send(b"x")
        loop.run()
