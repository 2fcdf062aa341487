from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ops.simulator.faults.fault import Close, Hang, Send, Wait
from ops.simulator.player import Player

if TYPE_CHECKING:
    from ops.simulator.faults.fault import Step


class Line(asyncio.Transport):
    """A transport that keeps what it is given, and tells its player to pause after each write."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[bytes | str] = []
        self.pausing: Player | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.told.append(bytes(data))
        if self.pausing is not None:
            self.pausing.pause()

    def close(self) -> None:
        self.told.append("closed")

    def abort(self) -> None:
        self.told.append("aborted")


async def played(*steps: Step) -> tuple[list[bytes | str], bool]:
    """What the line was told until nothing more came, and whether the player said it was done."""
    line, done = Line(), asyncio.Event()
    Player(line, asyncio.get_running_loop(), done.set).play(iter(steps))
    for _ in range(10):
        await asyncio.sleep(0)
    return line.told, done.is_set()


def test_steps_are_played_in_turn_to_the_end() -> None:
    assert asyncio.run(played(Send(b"a"), Wait(0), Send(b"b"))) == ([b"a", b"b"], True)


def test_nothing_comes_after_the_end_of_the_connection() -> None:
    assert asyncio.run(played(Send(b"a"), Close(), Send(b"b"))) == ([b"a", "closed"], True)
    assert asyncio.run(played(Close(reset=True))) == (["aborted"], True)


def test_silence_has_no_end() -> None:
    assert asyncio.run(played(Send(b"a"), Hang(), Send(b"b"))) == ([b"a"], False)


def test_a_slow_reader_is_waited_for() -> None:
    async def scene() -> None:
        line, done = Line(), asyncio.Event()
        player = line.pausing = Player(line, asyncio.get_running_loop(), done.set)
        player.play(iter([Send(b"a"), Send(b"b")]))
        assert (line.told, done.is_set()) == ([b"a"], False)
        player.resume()
        assert line.told == [b"a", b"b"]
        player.resume()
        assert done.is_set()

    asyncio.run(scene())


def test_stopped_steps_are_not_gone_on_with_by_a_timer() -> None:
    async def scene() -> None:
        line = Line()
        player = Player(line, asyncio.get_running_loop(), lambda: None)
        player.play(iter([Wait(0), Send(b"a")]))
        player.stop()
        assert not player.is_playing
        for _ in range(10):
            await asyncio.sleep(0)
        assert line.told == []

    asyncio.run(scene())
