"""How many threads this process may have, as far as the system says."""

from __future__ import annotations

import os
import resource
from pathlib import Path

OWN = 24
"""Threads that are no callers: I/O, main, ops HTTP, tracing; with some to spare."""


def room_for_callers(proc: Path = Path("/proc/self/cgroup")) -> int | None:
    """Threads left for calls, at least 1; None where nothing bounds them.

    By RLIMIT_NPROC, which root is exempt from, and by ``pids.max`` of the control groups (systemd's
    ``TasksMax=``, a container's limit). Others may use some of either, so fewer may be had.
    """
    bounds = list(_control_groups(proc))
    most, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    if os.geteuid() != 0 and most != resource.RLIM_INFINITY:
        bounds.append(most)
    return max(1, min(bounds) - OWN) if bounds else None


def shares(room: int | None, wanted: dict[str, int]) -> dict[str, int]:
    """How many each account gets of `room`, at least 1 and at most what it wants.

    What one does not want goes to the others in equal parts.
    """
    if room is None:
        return wanted
    given: dict[str, int] = {}
    for left, (name, want) in enumerate(sorted(wanted.items(), key=lambda each: each[1])):
        part = (room - sum(given.values())) // (len(wanted) - left)
        given[name] = max(1, min(want, part))
    return given


def _control_groups(proc: Path) -> list[int]:
    try:
        lines = proc.read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        root = Path("/sys/fs/cgroup", "pids" if "pids" in controllers.split(",") else "")
        group = root / path.lstrip("/")
        for folder in (group, *group.parents):
            try:
                text = (folder / "pids.max").read_text().strip()
            except OSError:
                continue
            if text.isdecimal():
                found.append(int(text))
    return found
