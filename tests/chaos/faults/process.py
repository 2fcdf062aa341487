"""What happens to worker processes."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from threading import Timer
from typing import TYPE_CHECKING

from tests.chaos.evidence import Cut
from tests.chaos.proxy import CLEAR, Weather

if TYPE_CHECKING:
    from tests.chaos.stage import Replica, Stage

_ENDS_WITHIN = 60.0
_DEAF_FOR = 3.0


@dataclass(frozen=True, slots=True)
class _OfOne:
    number: int
    """The replica's place among all."""

    def one(self, stage: Stage) -> Replica:
        """The replica that is struck."""
        return stage.replicas[self.number]

    def cut(self, stage: Stage) -> Cut:
        """Itself from running."""
        return Cut("process", frozenset({self.one(stage).name}))


@dataclass(frozen=True, slots=True)
class Kill(_OfOne):
    """SIGKILL; started again afterwards."""

    def strike(self, stage: Stage) -> None:
        """Kill."""
        stage.down.add(self.one(stage).name)
        self.one(stage).worker.kill()

    def mend(self, stage: Stage) -> None:
        """Start it again."""
        self.one(stage).worker.start()
        stage.down.discard(self.one(stage).name)


@dataclass(frozen=True, slots=True)
class AlarmedTakeover(_OfOne):
    """RabbitMQ blocks whoever publishes, and a replica dies: another takes over meanwhile."""

    def strike(self, stage: Stage) -> None:
        """Set the alarm, then kill."""
        stage.broker.ctl("set_vm_memory_high_watermark", "0.00001")
        stage.down.add(self.one(stage).name)
        self.one(stage).worker.kill()

    def mend(self, stage: Stage) -> None:
        """End the alarm, and start the replica again."""
        stage.broker.ctl("set_vm_memory_high_watermark", "absolute", "1GB")
        self.one(stage).worker.start()
        stage.down.discard(self.one(stage).name)


@dataclass(frozen=True, slots=True)
class Freeze(_OfOne):
    """SIGSTOP, SIGCONT; longer than RabbitMQ's patience it makes a zombie."""

    def cut(self, stage: Stage) -> Cut:
        """Itself from running; a call may have been about to leave."""
        return Cut("process", frozenset({self.one(stage).name}), holds_back=True)

    def strike(self, stage: Stage) -> None:
        """Freeze."""
        self.one(stage).worker.signal(signal.SIGSTOP)

    def mend(self, stage: Stage) -> None:
        """Wake it."""
        self.one(stage).worker.signal(signal.SIGCONT)


@dataclass(frozen=True, slots=True)
class Suspend(Freeze):
    """A machine is suspended, and what its broker says is lost until a while after it woke.

    Of a replica whose clocks do not stand still meanwhile, it is a process that is stopped.
    """

    def strike(self, stage: Stage) -> None:
        """Cut it off from RabbitMQ without its knowledge, then stop it."""
        for proxy in self.one(stage).broker:
            proxy.turn(Weather(still=True))
        super(Suspend, self).strike(stage)

    def mend(self, stage: Stage) -> None:
        """Wake it; its connections end a little later."""
        super(Suspend, self).mend(stage)
        later = Timer(_DEAF_FOR, self._hear, (stage,))
        later.daemon = True
        later.start()

    def _hear(self, stage: Stage) -> None:
        for proxy in self.one(stage).broker:
            proxy.reset()
            proxy.turn(CLEAR)


@dataclass(frozen=True, slots=True)
class Upgrade(_OfOne):
    """SIGTERM; started again once it has ended by itself."""

    def strike(self, stage: Stage) -> None:
        """Ask it to end."""
        stage.down.add(self.one(stage).name)
        self.one(stage).worker.signal(signal.SIGTERM)

    def mend(self, stage: Stage) -> None:
        """Wait for its end, and start the next."""
        worker = self.one(stage).worker
        assert worker.process is not None
        worker.process.wait(_ENDS_WITHIN)
        worker.start()
        stage.down.discard(self.one(stage).name)
