"""What happens to RabbitMQ, and what its operators do."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ops.rabbitmq.node import NodeError
from tests.chaos.broker import TROUBLE, connection
from tests.chaos.evidence import Cut
from tests.chaos.names import LANE

if TYPE_CHECKING:
    from tests.chaos.stage import Stage

_IDLE_WITHIN, _BACK_WITHIN = 15.0, 60.0
_LOOK = 0.1


@dataclass(frozen=True, slots=True)
class _OfAll:
    def cut(self, stage: Stage) -> Cut | None:
        """Everyone from the broker."""
        return Cut("broker", frozenset(replica.name for replica in stage.replicas))


@dataclass(frozen=True, slots=True)
class KillBroker(_OfAll):
    """SIGKILL to a node (of a cluster, the lane's leader), and start it again."""

    def strike(self, stage: Stage) -> None:
        """Kill."""
        stage.broker.victim().kill()

    def mend(self, stage: Stage) -> None:
        """Start."""
        for node in stage.broker.nodes:
            node.start()


@dataclass(frozen=True, slots=True)
class StopBroker(_OfAll):
    """An orderly stop of a node, and start it again."""

    def strike(self, stage: Stage) -> None:
        """Stop."""
        stage.broker.victim().stop()

    def mend(self, stage: Stage) -> None:
        """Start."""
        for node in stage.broker.nodes:
            node.start()


@dataclass(frozen=True, slots=True)
class FreezeBroker(_OfAll):
    """SIGSTOP to a node, SIGCONT."""

    def strike(self, stage: Stage) -> None:
        """Freeze."""
        stage.broker.victim().freeze()

    def mend(self, stage: Stage) -> None:
        """Wake it."""
        for node in stage.broker.nodes:
            node.thaw()


@dataclass(frozen=True, slots=True)
class Alarm(_OfAll):
    """The memory alarm: RabbitMQ blocks whoever publishes."""

    def cut(self, _: Stage) -> None:
        """Nobody: acks pass."""

    def strike(self, stage: Stage) -> None:
        """Set a limit that is passed already."""
        stage.broker.ctl("set_vm_memory_high_watermark", "0.00001")

    def mend(self, stage: Stage) -> None:
        """Set the one of before."""
        stage.broker.ctl("set_vm_memory_high_watermark", "absolute", "1GB")


@dataclass(frozen=True, slots=True)
class CloseConnections(_OfAll):
    """An operator closes every connection."""

    def strike(self, stage: Stage) -> None:
        """Close them."""
        with suppress(NodeError):  # it gives up when one closes by itself meanwhile
            stage.broker.ctl("close_all_connections", "chaos")

    def mend(self, stage: Stage) -> None:
        """Nothing is left to mend."""


@dataclass(frozen=True, slots=True)
class DeleteLane(_OfAll):
    """An operator deletes the lane's queue while it is empty; a worker declares it again."""

    def strike(self, stage: Stage) -> None:
        """Wait until nothing would be lost by it, and delete the queue, or leave it."""
        stage.paused = True
        deadline = time.monotonic() + _IDLE_WITHIN
        while time.monotonic() < deadline:
            if stage.is_idle():
                with connection(stage.broker) as joined:
                    joined.channel().queue_delete(LANE)
                return
            time.sleep(_LOOK)

    def mend(self, stage: Stage) -> None:
        """Publish again once the lane is there and bound."""
        deadline = time.monotonic() + _BACK_WITHIN
        while not _served(stage):
            if time.monotonic() > deadline:
                raise AssertionError("no worker has declared the lane's queue again")
            time.sleep(_LOOK)
        stage.paused = False


def _served(stage: Stage) -> bool:
    """A consumer comes after queue and bindings, so it shows that all are there."""
    try:
        with connection(stage.broker) as joined:
            found = joined.channel().queue_declare(LANE, passive=True)
    except TROUBLE:
        return False
    return bool(found.method.consumer_count)
