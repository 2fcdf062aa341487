"""`taskedit run`, but SIGUSR2 stops its I/O thread for good, as a bug of ours might.

`python -m tests.acceptance.stoppable run`
"""

from __future__ import annotations

import signal
from threading import Event
from typing import TYPE_CHECKING

from worker.cli import main
from worker.process import Process

if TYPE_CHECKING:
    from collections.abc import Callable


def stoppable(start: Callable[..., None]) -> Callable[..., None]:
    """`Process.start` that also listens for SIGUSR2."""

    def started(self: Process) -> None:
        start(self)
        signal.signal(signal.SIGUSR2, lambda *_: self.worker.loop.post(_for_good))

    return started


def _for_good() -> None:
    Event().wait()


if __name__ == "__main__":
    Process.start = stoppable(Process.start)  # type: ignore[method-assign]
    main()
