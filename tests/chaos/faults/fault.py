"""What every fault has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tests.chaos.evidence import Link
    from tests.chaos.stage import Stage


class Fault(Protocol):
    """A fault with its parameters; its `repr` is its name in logs and reports."""

    @property
    def link(self) -> Link | None:
        """What replicas are cut off from by it; None if from nothing."""

    def replicas(self, stage: Stage) -> frozenset[str]:
        """The names of the replicas that it strikes."""

    def strike(self, stage: Stage) -> None:
        """Begin."""

    def mend(self, stage: Stage) -> None:
        """Make all as it was; called whatever `strike` came to."""
