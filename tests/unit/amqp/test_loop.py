"""What is to be done soon is done in the same turn of pika's loop."""

from __future__ import annotations

from worker.amqp.loop import PikaLoop


def test_what_is_to_be_done_soon_is_done_before_the_loop_waits_again() -> None:
    loop, done = PikaLoop(), list[str]()

    def first() -> None:
        done.append("first")
        loop.soon(lambda: done.append("second"))
        loop.post(next_turn)

    def next_turn() -> None:
        done.append("next turn")
        loop.stop()

    loop.soon(first)
    loop.post(lambda: done.append("posted"))
    loop.call_later(0, lambda: done.append("timer"))
    loop.run()

    assert done == ["posted", "timer", "first", "second", "next turn"]
