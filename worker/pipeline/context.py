"""What all lanes of a process share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from worker.core.dedup import RecentOutcomes
from worker.core.unrouted import Ownership
from worker.pipeline.refusals import Budget

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from worker.core.message import ConfirmResult, Delivery
    from worker.core.settlement import Origin
    from worker.core.tracing import Trace, Tracing
    from worker.loop import Loop
    from worker.pipeline.poison import CrashLedger
    from worker.pipeline.settler import Settler


WISH_LASTS = 0.5
"""Seconds that others wait for one that asked to be alone, unless it asks again: its lane may be
throttled meanwhile, or with another replica."""


@dataclass(slots=True)
class SoloGate:
    """Lets an edit that is suspected of ending the process be called with no other beside it."""

    calls: int = 0
    """Under way in the whole process."""
    wanted_until: float = 0.0
    running: bool = False

    def admits(self, now: float, *, alone: bool) -> bool:
        """Whether a call may begin now; one that must be alone is let in first, once it is.

        `now`: monotonic seconds. Who is not admitted asks again well within `WISH_LASTS`.
        """
        if alone:
            self.wanted_until = now + WISH_LASTS if self.calls else 0.0
            return not self.calls
        return not self.running and now >= self.wanted_until

    def begin(self, *, alone: bool) -> None:
        """A call begins."""
        self.calls += 1
        self.running = alone

    def end(self, *, alone: bool) -> None:
        """A call has ended."""
        self.calls -= 1
        if alone:
            self.running = False


class Reserve(Protocol):
    """Sets down that so many calls of an account may be made in the next seconds."""

    def __call__(
        self, account: str, calls: int, wanted: Callable[[], bool]
    ) -> Awaitable[ConfirmResult]:
        """Publish it while `wanted`; what RabbitMQ said."""


@dataclass(slots=True)
class LaneContext:
    """The loop, the settler, what is remembered, and whether calls may start at all."""

    loop: Loop
    settler: Settler
    suspects: CrashLedger
    signed: Origin
    lease_holds: Callable[[], bool]
    """Whether RabbitMQ was heard from lately enough to be sure that the lanes are ours."""
    publisher_open: Callable[[], bool]
    memory: RecentOutcomes = field(default_factory=RecentOutcomes)
    solo: SoloGate = field(default_factory=SoloGate)
    refusing: Budget = field(default_factory=Budget)
    tracing: Tracing | None = None
    reserve: Reserve | None = None
    """Sets slots of the long limits down in the journal; None where there is no journal."""
    ownership: Ownership = field(default_factory=Ownership)
    """Which account each appId belongs to."""

    def trace(
        self, delivery: Delivery, account: str | None, url: str | None = None
    ) -> Trace | None:
        """The trace of a message that is being processed; None while tracing is off."""
        return None if self.tracing is None else self.tracing.begin(delivery, account, url)

    def may_start(self) -> bool:
        """Whether calls may start, as far as RabbitMQ is concerned."""
        return self.publisher_open() and self.lease_holds()
