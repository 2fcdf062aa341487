from __future__ import annotations

from contextlib import contextmanager
from threading import Event, Thread
from typing import TYPE_CHECKING

from worker.observability.log import URGENT_AT, Lines

if TYPE_CHECKING:
    from collections.abc import Iterator

WITHIN = 20.0
"""Seconds after which a test gives up."""
FOREVER = 10 * WITHIN


class Pipe:
    """A stream that notes each write, and can be one that nobody reads."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.written = Event()
        self.read = Event()
        self.read.set()
        self.stuck = Event()
        self.gone = False
        self.full = False
        self.most = 1_000_000

    def write(self, batch: memoryview) -> int | None:
        self.stuck.set()
        assert self.read.wait(WITHIN)
        if self.gone:
            raise BrokenPipeError
        if self.full:
            self.full = False
            return None
        self.writes.append(bytes(batch[: self.most]))
        self.written.set()
        return len(self.writes[-1])


@contextmanager
def writing(pipe: Pipe, linger: float = 0.01, most: int = 10_000) -> Iterator[Lines]:
    lines = Lines(pipe, lambda count: f"{count} dropped\n".encode(), linger=linger, most=most)
    try:
        yield lines
    finally:
        pipe.read.set()
        assert lines.close(WITHIN)


def test_a_line_comes_out_by_itself() -> None:
    pipe = Pipe()
    with writing(pipe) as lines:
        lines.put(b"one\n")

        assert pipe.written.wait(WITHIN)
    assert pipe.writes[0] == b"one\n"


def test_lines_that_come_together_are_written_together() -> None:
    pipe = Pipe()
    with writing(pipe, linger=FOREVER) as lines:
        for number in range(100):
            lines.put(f"{number}\n".encode())
        lines.put_now(b"trouble\n")

        assert pipe.written.wait(WITHIN)
    assert pipe.writes[0] == b"".join(b"%d\n" % number for number in range(100)) + b"trouble\n"


def test_trouble_does_not_linger() -> None:
    pipe = Pipe()
    with writing(pipe, linger=FOREVER) as lines:
        lines.put_now(b"trouble\n")

        assert pipe.written.wait(WITHIN)


def test_many_lines_do_not_linger() -> None:
    pipe = Pipe()
    with writing(pipe, linger=FOREVER) as lines:
        for _ in range(URGENT_AT + 1):
            lines.put(b"x\n")

        assert pipe.written.wait(WITHIN)


def test_nobody_waits_for_a_pipe_that_is_not_read() -> None:
    pipe = Pipe()
    with writing(pipe, most=1000) as lines:
        pipe.read.clear()
        lines.put_now(b"stuck\n")
        assert pipe.stuck.wait(WITHIN)
        for number in range(1500):
            lines.put(f"{number}\n".encode())

        assert not lines.flush(0.01)
        pipe.read.set()
        assert lines.flush(WITHIN)
    written = b"".join(pipe.writes).split(b"\n")
    assert written[:3] == [b"stuck", b"0", b"1"]
    assert written[-3:] == [b"999", b"500 dropped", b""]


def test_a_pipe_that_takes_little_at_a_time_gets_all() -> None:
    pipe = Pipe()
    pipe.most, pipe.full = 3, True
    with writing(pipe) as lines:
        lines.put(b"one line\n")
    assert pipe.writes == [b"one", b" li", b"ne\n"]


def test_a_pipe_that_is_gone_is_no_reason_to_fail() -> None:
    pipe = Pipe()
    with writing(pipe) as lines:
        pipe.gone = True
        lines.put(b"lost\n")
        assert lines.flush(WITHIN)
        pipe.gone = False
        lines.put(b"found\n")

        assert lines.flush(WITHIN)
    assert b"".join(pipe.writes) == b"found\n"


def test_no_line_is_lost_or_torn_between_threads() -> None:
    pipe = Pipe()

    def write(lines: Lines, name: str) -> None:
        for number in range(500):
            (lines.put_now if number % 50 == 0 else lines.put)(f"{name} {number}\n".encode())

    with writing(pipe) as lines:
        threads = [Thread(target=write, args=(lines, name)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    written = b"".join(pipe.writes).decode().splitlines()
    for name in "abcd":
        own = [line for line in written if line.startswith(name)]
        assert own == [f"{name} {number}" for number in range(500)]
