"""What every fault has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tests.chaos.evidence import Cut
    from tests.chaos.stage import Stage


class Fault(Protocol):
    """A fault with its parameters; its `repr` is its name in logs and reports."""

    def cut(self, stage: Stage) -> Cut | None:
        """What it keeps apart; None if nothing."""

    def strike(self, stage: Stage) -> None:
        """Begin."""

    def mend(self, stage: Stage) -> None:
        """Make all as it was; called whatever `strike` came to."""
