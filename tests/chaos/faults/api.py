"""What the API does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from tests.acceptance.kit import KEY, SECRET

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ops.simulator.faults.fault import Kind
    from tests.chaos.stage import Stage


@dataclass(frozen=True, slots=True)
class _OfTheApi:
    def cut(self, _: Stage) -> None:
        """Nothing: whoever calls is answered, or knows that it is not."""


@dataclass(frozen=True, slots=True)
class Misbehave(_OfTheApi):
    """Part of the answers go wrong in one of the simulator's ways."""

    kind: Kind = "http"
    share: float = 1.0
    parts: Mapping[str, Any] = field(default_factory=dict)

    def strike(self, stage: Stage) -> None:
        """Begin."""
        stage.cue = stage.simulator.fault(self.kind, share=self.share, account=KEY, **self.parts)

    def mend(self, stage: Stage) -> None:
        """Answer properly again."""
        stage.simulator.drop(stage.cue)


@dataclass(frozen=True, slots=True)
class Slow(_OfTheApi):
    """Every answer takes its time, in seconds."""

    seconds: float = 1.0

    def strike(self, stage: Stage) -> None:
        """Slow down."""
        stage.cue = stage.simulator.latency(self.seconds / 2, self.seconds / 2, account=KEY)

    def mend(self, stage: Stage) -> None:
        """As quick as before."""
        stage.simulator.drop(stage.cue)


@dataclass(frozen=True, slots=True)
class Enter(_OfTheApi):
    """A state: balance_gone, ip_refused, unverified, down."""

    state: Literal["balance_gone", "ip_refused", "unverified", "down"] = "down"

    def strike(self, stage: Stage) -> None:
        """Enter it."""
        stage.simulator.state(self.state, account=KEY)

    def mend(self, stage: Stage) -> None:
        """Run again."""
        stage.simulator.state("running", account=KEY)


@dataclass(frozen=True, slots=True)
class Throttle(_OfTheApi):
    """The provider allows less than the account's rate; `retry_after` is its header."""

    rate: str = "20/s"
    retry_after: str = "1"

    def strike(self, stage: Stage) -> None:
        """Allow less."""
        stage.simulator.account(KEY, SECRET, rate=self.rate, retry_after=self.retry_after)

    def mend(self, stage: Stage) -> None:
        """Allow what was agreed."""
        stage.simulator.account(KEY, SECRET, rate=stage.scene.rates, retry_after="1")


@dataclass(frozen=True, slots=True)
class Shut(_OfTheApi):
    """The API's port is closed for some seconds, and open connections are cut."""

    seconds: float = 2.0

    def strike(self, stage: Stage) -> None:
        """Shut it; it opens by itself."""
        stage.simulator.refuse(self.seconds)

    def mend(self, stage: Stage) -> None:
        """It has opened by itself."""
