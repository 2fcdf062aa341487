"""A loop without I/O: timers, and what other threads post."""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import count
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_NAP = 1.0


class Timer:
    """A callback that is due at some time, unless it is cancelled before."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], None] | None) -> None:
        self.callback = callback


class PlainLoop:
    """A `worker.loop.Loop` for commands that only call the API."""

    def __init__(self) -> None:
        self._posted: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._timers: list[tuple[float, int, Timer]] = []
        self._number = count()
        self._is_over = False

    def now(self) -> float:
        """Monotonic seconds."""
        return monotonic()

    def call_later(self, seconds: float, callback: Callable[[], None]) -> object:
        """Call back once after `seconds`."""
        timer = Timer(callback)
        heappush(self._timers, (self.now() + seconds, next(self._number), timer))
        return timer

    def cancel(self, timer: object) -> None:
        """Forget a timer."""
        if isinstance(timer, Timer):
            timer.callback = None

    def soon(self, callback: Callable[[], None]) -> None:
        """Call back soon."""
        self.post(callback)

    def post(self, callback: Callable[[], None]) -> None:
        """Call back soon; callable from any thread, and from a signal handler."""
        self._posted.put(callback)

    def run(self) -> None:
        """Turn until `stop`; what a callback raises ends it and is raised here."""
        self._is_over = False
        while not self._is_over:
            self._fire()
            try:
                self._posted.get(timeout=self._nap())()
            except Empty:
                continue

    def stop(self) -> None:
        """End `run` after this turn."""
        self._is_over = True
        self.post(_nothing)

    def _nap(self) -> float:
        if not self._timers:
            return LONGEST_NAP
        return min(max(self._timers[0][0] - self.now(), 0.0), LONGEST_NAP)

    def _fire(self) -> None:
        """Call what is due."""
        now = self.now()
        while self._timers and self._timers[0][0] <= now and not self._is_over:
            _, _, timer = heappop(self._timers)
            callback, timer.callback = timer.callback, None
            if callback is not None:
                callback()


def _nothing() -> None:
    """Wake the loop, and no more."""
