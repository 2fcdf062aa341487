"""`taskedit run` in which SIGSTOP is a suspended machine: its monotonic clock stands still too.

`python -m tests.acceptance.asleep CLOCK…` names every clock that stands still. A process that is
merely stopped learns from its monotonic clock, once it wakes, how long it was away. One on a
machine that was suspended does not, and in a virtual machine that was paused from outside the boot
clock stands still as well. So a gap that no reading of a clock can fall into is taken out of it;
a thread reads often enough for no other gap to be as long.
"""

from __future__ import annotations

import sys
import time
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

GAP = 2.0
"""Seconds between two readings that only a stopped process lets pass."""
OFTEN = 0.05


class Standing:
    """A clock that stands still while this process is stopped."""

    def __init__(self, proper: Callable[[], float]) -> None:
        self._proper = proper
        self._last = proper()
        self._missed = 0.0
        self._lock = Lock()

    def read(self) -> float:
        """Seconds, without those for which the process was stopped."""
        with self._lock:
            now = self._proper()
            gap, self._last = now - self._last, now
            if gap > GAP:
                self._missed += gap
            return now - self._missed


def stop_the_clocks(names: list[str]) -> None:
    """Put the clocks of those names, ``monotonic`` and ``boot``, in place of the proper ones."""
    read_clock = time.clock_gettime
    clocks = [monotonic := Standing(time.monotonic)]
    time.monotonic = monotonic.read
    if "boot" in names:
        boot = Standing(lambda: read_clock(time.CLOCK_BOOTTIME))
        clocks.append(boot)

        def gettime(clock: int) -> float:
            return boot.read() if clock == time.CLOCK_BOOTTIME else read_clock(clock)

        time.clock_gettime = gettime

    def keep_reading() -> None:
        wake = Event()
        while not wake.wait(OFTEN):
            for clock in clocks:
                clock.read()

    Thread(target=keep_reading, daemon=True).start()


if __name__ == "__main__":
    stop_the_clocks(sys.argv[1:])  # before anything imports `monotonic` from `time`
    from worker.cli import main

    sys.argv[1:] = ["run"]
    main()
