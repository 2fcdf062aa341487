"""What a machine no longer gives to a worker that runs: descriptors, threads, room on disk."""

from __future__ import annotations

import os
import resource
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from tests.chaos.stage import Stage

_NO_STACK = 6 * 2**20
"""Bytes that are left: too few for a thread's stack, enough for what a process needs at once."""


@dataclass(frozen=True, slots=True)
class _Limited:
    number: int
    """The replica's place among all."""
    resource: ClassVar[int]

    def cut(self, _: Stage) -> None:
        """Nothing: whoever lacks something knows it."""

    def left(self, _: int) -> int:
        """What the process of that id may have."""
        return 1

    def strike(self, stage: Stage) -> None:
        """Take it from the process that runs: one that is starting could not even be imported."""
        if not stage.replicas[self.number].worker.asked("/livez")[0]:
            return
        pid = self._pid(stage)
        with suppress(OSError):
            _, hard = resource.prlimit(pid, self.resource)
            resource.prlimit(pid, self.resource, (self.left(pid), hard))

    def mend(self, stage: Stage) -> None:
        """Give what any process has; one that was started meanwhile has it already."""
        usual = resource.prlimit(os.getpid(), self.resource)
        with suppress(ProcessLookupError):
            resource.prlimit(self._pid(stage), self.resource, usual)

    def _pid(self, stage: Stage) -> int:
        process = stage.replicas[self.number].worker.process
        assert process is not None
        return process.pid


@dataclass(frozen=True, slots=True)
class Descriptors(_Limited):
    """No descriptor above those that are open."""

    resource: ClassVar[int] = resource.RLIMIT_NOFILE

    def left(self, pid: int) -> int:
        """Those that are open, and the gaps among them."""
        return max(int(found.name) for found in Path(f"/proc/{pid}/fd").iterdir()) + 1


@dataclass(frozen=True, slots=True)
class Threads(_Limited):
    """No address space for another thread's stack."""

    resource: ClassVar[int] = resource.RLIMIT_AS

    def left(self, pid: int) -> int:
        """What is taken, and a little."""
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
        return pages * resource.getpagesize() + _NO_STACK


@dataclass(frozen=True, slots=True)
class FullDisk(_Limited):
    """Nothing can be written to a file any more: notes and log alike."""

    resource: ClassVar[int] = resource.RLIMIT_FSIZE
