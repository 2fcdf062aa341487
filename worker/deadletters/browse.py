"""A look at the dead letters that leaves them as they are.

Messages brought to RabbitMQ while nobody else is at the dead letters.

Dead letters taken out of the queue for good.
"""

from __future__ import annotations

import os
import socket
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from worker.amqp.dead_letters import WholeQueue
from worker.amqp.lock import Lock
from worker.amqp.publisher import ConfirmedPublisher
from worker.core.message import ConfirmResult
from worker.deadletters.letter import read
from worker.deadletters.visit import Errand, VisitFailure, VisitFailureKind
from worker.pipeline.lane import ACK_SETTLES_IN

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence

    from pika.connection import Connection  # noqa: TID251 (its type, never pika itself)

    from worker.amqp.dead_letters import DeliveryBatch
    from worker.core.message import Delivery, Publication
    from worker.deadletters.visit import Broker


def browse(broker: Broker, doing: str, see: Callable[[Delivery], None]) -> int | VisitFailure:
    """Tell `see` every dead letter, first to last; how many somebody else holds.

    All of them are back, in order, when it returns. `doing`: the command, for whoever finds the
    letters locked by it.
    """
    queue: WholeQueue | None = None

    def begin(connection: Connection) -> None:
        nonlocal queue
        queue = WholeQueue(errand.loop, connection, broker.names.dead, failed=failed)
        lock(errand, connection, broker, doing, take)

    def take() -> None:
        assert queue is not None  # noqa: S101 (told to the type checker, not to users)
        queue.take(lambda delivery, _: see(delivery), give_back, to_settle=False)

    def give_back() -> None:
        assert queue is not None  # noqa: S101 (as above)
        queue.give_back(errand.end)

    def stop() -> None:
        stopped = VisitFailure(VisitFailureKind.STOPPED, "stopped")
        if queue is None:
            errand.end(stopped)
        else:
            queue.give_back(lambda: errand.end(stopped))

    def failed(why: str) -> None:
        errand.end(VisitFailure(VisitFailureKind.ABSENT, why))

    errand = Errand(broker, begin, stop)
    trouble = errand.run()
    return trouble or (queue.missing if queue else 0)


def lock(
    errand: Errand,
    connection: Connection,
    broker: Broker,
    doing: str,
    held: Callable[[], None],
) -> None:
    """Call `held` once no other dead-letter command runs; end the errand if one does."""

    def taken(who: str | None) -> None:
        errand.end(
            VisitFailure(
                VisitFailureKind.BUSY, f"at the letters already: {who or 'another command'}"
            )
        )

    Lock(
        errand.loop,
        connection,
        broker.names.dead_lock,
        who=_who(doing),
        held=held,
        taken=taken,
        failed=lambda why: errand.end(VisitFailure(VisitFailureKind.FAILED, why)),
    ).take()


def _who(doing: str) -> str:
    since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"{doing} on {socket.gethostname()}, process {os.getpid()}, since {since}"


UNCONFIRMED_AT_MOST = 500


@dataclass(frozen=True, slots=True)
class Brought:
    """How many of the messages RabbitMQ has, and how many it would not have."""

    confirmed: int
    refused: int
    trouble: VisitFailure | None


def bring(broker: Broker, doing: str, publications: Sequence[Publication]) -> Brought:
    """Publish in order, with confirms; a message that no queue takes counts as refused."""
    fates: Counter[ConfirmResult] = Counter()
    todo = iter(publications)
    stopping, unsure = False, 0

    def begin(connection: Connection) -> None:
        errand.loop.spawn(publisher.serve(connection))
        lock(errand, connection, broker, doing, pump)

    def pump() -> None:
        nonlocal unsure
        while not stopping and unsure < UNCONFIRMED_AT_MOST:
            one = next(todo, None)
            if one is None:
                break
            unsure += 1
            publisher.publish(one).add_done_callback(lambda said: sure(said.result()))
        if unsure == 0:
            errand.end(VisitFailure(VisitFailureKind.STOPPED, "stopped") if stopping else None)

    def sure(fate: ConfirmResult) -> None:
        nonlocal unsure
        unsure -= 1
        fates[fate] += 1
        pump()

    def stop() -> None:
        nonlocal stopping
        stopping = True
        pump()

    errand = Errand(broker, begin, stop)
    publisher = ConfirmedPublisher(errand.loop)
    trouble = errand.run()
    refused = fates[ConfirmResult.REFUSED] + fates[ConfirmResult.UNROUTABLE]
    return Brought(fates[ConfirmResult.CONFIRMED], refused, trouble)


def discard(broker: Broker, doing: str, keys: Container[bytes]) -> int | VisitFailure:
    """Take out every letter whose key is one of `keys`; how many that were.

    The rest is back, in order, when it returns.
    """
    found: list[tuple[DeliveryBatch, int]] = []
    queue: WholeQueue | None = None

    def begin(connection: Connection) -> None:
        nonlocal queue
        queue = WholeQueue(
            errand.loop,
            connection,
            broker.names.dead,
            failed=lambda why: errand.end(VisitFailure(VisitFailureKind.ABSENT, why)),
        )
        taking = queue
        lock(errand, connection, broker, doing, lambda: taking.take(see, ack, to_settle=True))

    def see(delivery: Delivery, window: DeliveryBatch) -> None:
        if read(delivery, 0).key in keys:
            found.append((window, delivery.tag))

    def ack() -> None:
        for window, tag in found:
            window.ack(tag)
        errand.loop.call_later(ACK_SETTLES_IN, lambda: give_back(None))

    def give_back(trouble: VisitFailure | None) -> None:
        if queue is None:
            errand.end(trouble)
        else:
            queue.give_back(lambda: errand.end(trouble))

    errand = Errand(
        broker, begin, lambda: give_back(VisitFailure(VisitFailureKind.STOPPED, "stopped"))
    )
    return errand.run() or len(found)
