"""What a process and its children have used: CPU to the nanosecond, memory to the page."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import clock_gettime, monotonic

_PROCESS_CLOCK = 2
"""Of a process other than ours: `(~pid << 3) | 2`, Linux's MAKE_PROCESS_CPUCLOCK. It counts the
same user and system time as /proc/PID/stat, threads that have ended included, not in ticks of
10 ms but in nanoseconds."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How far things were at a moment (monotonic seconds), and the CPU spent until then."""

    at: float
    done: int
    cpu: float
    broker_cpu: float = 0.0


def tree(pid: int) -> list[int]:
    """The process and all that descend from it."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += map(int, task.read_text().split())
            except OSError:
                continue
    return found


def cpu(pid: int) -> float:
    """Seconds of CPU, user and system, of the process and all that descend from it."""
    return sum(_clock(one) for one in tree(pid))


def mark(pid: int, done: int, broker: int | None) -> Mark:
    """A mark of this moment."""
    return Mark(monotonic(), done, cpu(pid), 0.0 if broker is None else cpu(broker))


def peak(pid: int) -> float:
    """The most memory (resident, MiB) that each of them ever had, all together."""
    return sum(_megabytes(one, "VmHWM") for one in tree(pid))


def resident(pid: int) -> float:
    """The memory (resident, MiB) that they have now."""
    return sum(_megabytes(one, "VmRSS") for one in tree(pid))


def _clock(pid: int) -> float:
    try:
        return clock_gettime((~pid << 3) | _PROCESS_CLOCK)
    except OSError:
        return 0.0  # it has ended


def _megabytes(pid: int, name: str) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    found = next((line for line in lines if line.startswith(f"{name}:")), f"{name}: 0 kB")
    return int(found.split()[1]) / 1024


def undisturbed(pid: int) -> None:
    """Give a process the processor whenever it wants it (as root), as on a machine of its own.

    For the stand-in of the API where refusals are counted: it counts a call when it reads it, and
    when the contestant keeps it from doing so, it refuses what a provider would not.
    """
    with suppress(PermissionError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setscheduler(int(thread.name), os.SCHED_FIFO, os.sched_param(1))
