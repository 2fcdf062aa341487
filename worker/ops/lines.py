"""Log lines written in batches by a thread of their own: nobody who logs ever waits for a pipe."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Event, Thread
from time import sleep
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

LINGER = 0.05
"""Seconds that a line may wait for company."""
URGENT_AT = 500
"""Lines in hand that are not to wait any longer."""
MOST_LINES = 20_000
"""Held while nobody reads; what comes then is dropped, and how many were is said afterwards."""


class Stream(Protocol):
    """What lines are written to, unbuffered; may block, and raise `OSError` when it is gone."""

    def write(self, batch: memoryview, /) -> int | None:
        """Take some bytes; how many, or None when there is no room at the moment."""


class Lines:
    """A stream's lines, in the order of the calls.

    Any thread may call any method, and a signal may come in the middle of any: hence the simple
    queue, which unlike a lock lets a thread in twice.
    """

    def __init__(
        self,
        stream: Stream,
        dropped_line: Callable[[int], bytes],
        *,
        linger: float = LINGER,
        most: int = MOST_LINES,
    ) -> None:
        """Start the thread; it sleeps as long as nobody logs.

        `dropped_line` gives the line that says how many were dropped.
        """
        self._linger = linger
        self._most = most
        self._stream = stream
        self._dropped_line = dropped_line
        self._dropped = 0
        self._lines: deque[bytes] = deque()
        self._asked: deque[Event] = deque()
        self._wake: SimpleQueue[bool] = SimpleQueue()
        self._awake = False
        self._urgent = False
        self._closed = False
        self._thread = Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def put(self, line: bytes) -> None:
        """Have a line written within `LINGER`; it ends with a line end."""
        self._lines.append(line)
        if not self._awake:
            self._awake = True
            self._wake.put(item=False)
        elif len(self._lines) > URGENT_AT:
            self._crowded()

    def put_now(self, line: bytes) -> None:
        """Have a line written, and those before it, without delay."""
        self._lines.append(line)
        self._hurry()

    def flush(self, seconds: float) -> bool:
        """Wait until all lines so far are out; False if nobody took them within `seconds`."""
        done = Event()
        self._asked.append(done)
        self._hurry()
        return done.wait(seconds)

    def close(self, seconds: float) -> bool:
        """Flush, and end the thread."""
        flushed = self.flush(seconds)
        self._closed = True
        self._wake.put(item=True)
        return flushed

    def _crowded(self) -> None:
        if len(self._lines) > self._most:
            self._lines.pop()
            self._dropped += 1
        self._hurry()

    def _hurry(self) -> None:
        if not self._urgent:
            self._awake = self._urgent = True
            self._wake.put(item=True)

    def _run(self) -> None:
        while not self._closed:
            if not self._wake.get():
                with suppress(Empty):
                    self._wake.get(timeout=self._linger)
            self._awake = self._urgent = False  # before looking: what comes after wakes us again
            asked = [self._asked.popleft() for _ in range(len(self._asked))]
            self._write(self._batch())
            for done in asked:
                done.set()

    def _batch(self) -> bytes:
        lines = [self._lines.popleft() for _ in range(len(self._lines))]
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            lines.append(self._dropped_line(dropped))
        return b"".join(lines)

    def _write(self, batch: bytes) -> None:
        rest = memoryview(batch)
        try:
            while rest:
                taken = self._stream.write(rest)
                if taken is None:
                    sleep(self._linger)
                rest = rest[taken or 0 :]
        except OSError:
            return  # nobody reads any more, and there is nowhere else to say so
