"""Messages brought to RabbitMQ while nobody else is at the dead letters."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.amqp.publisher import ConfirmedPublisher
from worker.settler import Fate
from worker.visits.broker import Errand, Kind, Trouble
from worker.visits.look import lock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pika.connection import Connection  # noqa: TID251 (its type, never pika itself)

    from worker.core.delivery import Publication
    from worker.visits.broker import Broker

UNCONFIRMED_AT_MOST = 500


@dataclass(frozen=True, slots=True)
class Brought:
    """How many of the messages RabbitMQ has, and how many it would not have."""

    confirmed: int
    refused: int
    trouble: Trouble | None


def bring(broker: Broker, doing: str, publications: Sequence[Publication]) -> Brought:
    """Publish in order, with confirms; a message that no queue takes counts as refused."""
    fates: Counter[Fate] = Counter()
    todo = iter(publications)
    stopping = False

    def begin(connection: Connection) -> None:
        publisher.start(connection)
        lock(errand, connection, broker, doing, pump)

    def pump() -> None:
        while not stopping and publisher.outstanding < UNCONFIRMED_AT_MOST:
            one = next(todo, None)
            if one is None:
                break
            publisher.publish(one, _wanted, sure)
        if publisher.outstanding == 0:
            errand.end(Trouble(Kind.STOPPED, "stopped") if stopping else None)

    def sure(fate: Fate) -> None:
        fates[fate] += 1
        pump()

    def stop() -> None:
        nonlocal stopping
        stopping = True
        pump()

    errand = Errand(broker, begin, stop)
    publisher = ConfirmedPublisher(errand.loop)
    trouble = errand.run()
    refused = fates[Fate.REFUSED] + fates[Fate.UNROUTABLE]
    return Brought(fates[Fate.CONFIRMED], refused, trouble)


def _wanted() -> bool:
    return True
