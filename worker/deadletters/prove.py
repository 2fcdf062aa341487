"""The way of a dead letter, proved by a probe that leaves nothing behind.

The probe is published as a dead letter is, found in the queue, and removed. It lies behind the
letters that are there, so these are taken too, and given back as they were. Should all of this
be cut short, the probe expires once it is first in the queue, and the next proof removes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from worker.amqp.dead_letters import WholeQueue
from worker.amqp.publisher import ConfirmedPublisher
from worker.core.message import ConfirmResult, Properties, Publication
from worker.deadletters.browse import lock
from worker.deadletters.visit import Errand, VisitFailure, VisitFailureKind

if TYPE_CHECKING:
    from pika.connection import Connection  # noqa: TID251 (its type, never pika itself)

    from worker.amqp.dead_letters import DeliveryBatch
    from worker.core.message import Delivery
    from worker.deadletters.visit import Broker

PROBE = "task-edit.probe"
"""The type of the message."""
EXPIRES_MS = 60_000
ACK_TAKEN_IN = 0.3
"""Seconds: an ack that has just been written can be lost with its channel."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A dead letter would not arrive; one sentence says why."""

    why: str


def prove(broker: Broker) -> Broken | VisitFailure | None:
    """Send a probe to the dead letters and remove it; None when it arrived.

    The user may write to their exchange and read their queue, nobody else consumes it, and it
    holds no more letters than may be taken for a look: the caller has made sure.
    """
    proof = _Proof(broker)
    return proof.errand.run() or proof.broken


class _Proof:
    """One probe on its way; everything on the loop's thread."""

    def __init__(self, broker: Broker) -> None:
        self.errand = Errand(broker, self._begin, self._stop)
        self.broken: Broken | None = None
        self._broker = broker
        self._dead = broker.names.dead
        self._id = uuid4().hex
        self._queue: WholeQueue | None = None
        self._probes: list[tuple[DeliveryBatch, int]] = []
        self._arrived = False

    def _begin(self, connection: Connection) -> None:
        queue = WholeQueue(self.errand.loop, connection, self._dead, failed=self._failed)

        def send() -> None:
            self._queue = queue
            probe = Properties(type=PROBE, message_id=self._id, expiration=str(EXPIRES_MS))
            publication = Publication(self._dead, "", b"", probe)
            publisher = ConfirmedPublisher(self.errand.loop)
            self.errand.loop.spawn(publisher.serve(connection))
            publisher.publish(publication).add_done_callback(lambda said: self._sent(said.result()))

        lock(self.errand, connection, self._broker, "taskedit doctor", send)

    def _sent(self, fate: ConfirmResult) -> None:
        if fate is ConfirmResult.CONFIRMED and self._queue is not None:
            self._queue.take(self._see, self._taken, to_settle=True)
        elif fate is ConfirmResult.UNROUTABLE:
            self._end(Broken(f"the exchange {self._dead} leads to no queue"))
        else:
            self._end(Broken(f"what is published to the exchange {self._dead} is refused"))

    def _see(self, delivery: Delivery, window: DeliveryBatch) -> None:
        if delivery.properties.type == PROBE:
            self._probes.append((window, delivery.tag))
            self._arrived |= delivery.properties.message_id == self._id

    def _taken(self) -> None:
        for window, tag in self._probes:
            window.ack(tag)
        wrong = Broken(f"the exchange {self._dead} leads to other queues, and not to its own")
        self.errand.loop.call_later(
            ACK_TAKEN_IN, lambda: self._end(None if self._arrived else wrong)
        )

    def _end(self, broken: Broken | None) -> None:
        self.broken = broken
        if self._queue is None:
            self.errand.end()
        else:
            self._queue.give_back(self.errand.end)

    def _stop(self) -> None:
        stopped = VisitFailure(VisitFailureKind.STOPPED, "stopped")
        if self._queue is None:
            self.errand.end(stopped)
        else:
            self._queue.give_back(lambda: self.errand.end(stopped))

    def _failed(self, why: str) -> None:
        self.errand.end(VisitFailure(VisitFailureKind.ABSENT, why))
