"""What all lanes of a process share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from worker.core.memory import Memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.core.settle import Signed
    from worker.loop import Loop
    from worker.settler import Settler
    from worker.suspects import Suspects


@dataclass(slots=True)
class Solo:
    """Lets an edit that is suspected of ending the process be called with no other beside it."""

    calls: int = 0
    """Under way in the whole process."""
    wanted: bool = False
    running: bool = False

    def admits(self, *, alone: bool) -> bool:
        """Whether a call may begin now; one that must be alone is let in first, once it is."""
        if alone:
            self.wanted = self.calls > 0
            return not self.wanted
        return not self.running and not self.wanted

    def begin(self, *, alone: bool) -> None:
        """A call begins."""
        self.calls += 1
        self.running = alone

    def end(self, *, alone: bool) -> None:
        """A call has ended."""
        self.calls -= 1
        if alone:
            self.running = self.wanted = False


@dataclass(slots=True)
class Shared:
    """The loop, the settler, what is remembered, and whether calls may start at all."""

    loop: Loop
    settler: Settler
    suspects: Suspects
    signed: Signed
    lease_holds: Callable[[], bool]
    """Whether RabbitMQ was heard from lately enough to be sure that the lanes are ours."""
    publisher_open: Callable[[], bool]
    memory: Memory = field(default_factory=Memory)
    solo: Solo = field(default_factory=Solo)

    def may_start(self) -> bool:
        """Whether calls may start, as far as RabbitMQ is concerned."""
        return self.publisher_open() and self.lease_holds()
