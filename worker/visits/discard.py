"""Dead letters taken out of the queue for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.amqp.letters import WholeQueue
from worker.lane import ACK_SETTLES_IN
from worker.letters.letter import read
from worker.visits.broker import Errand, Kind, Trouble
from worker.visits.look import lock

if TYPE_CHECKING:
    from collections.abc import Container

    from pika.connection import Connection  # noqa: TID251 (its type, never pika itself)

    from worker.amqp.window import Window
    from worker.core.delivery import Delivery
    from worker.visits.broker import Broker


def discard(broker: Broker, doing: str, keys: Container[bytes]) -> int | Trouble:
    """Take out every letter whose key is one of `keys`; how many that were.

    The rest is back, in order, when it returns.
    """
    found: list[tuple[Window, int]] = []
    queue: WholeQueue | None = None

    def begin(connection: Connection) -> None:
        nonlocal queue
        queue = WholeQueue(
            errand.loop,
            connection,
            broker.names.dead,
            failed=lambda why: errand.end(Trouble(Kind.ABSENT, why)),
        )
        taking = queue
        lock(errand, connection, broker, doing, lambda: taking.take(see, ack, to_settle=True))

    def see(delivery: Delivery, window: Window) -> None:
        if read(delivery, 0).key in keys:
            found.append((window, delivery.tag))

    def ack() -> None:
        for window, tag in found:
            window.ack(tag)
        errand.loop.call_later(ACK_SETTLES_IN, lambda: give_back(None))

    def give_back(trouble: Trouble | None) -> None:
        if queue is None:
            errand.end(trouble)
        else:
            queue.give_back(lambda: errand.end(trouble))

    errand = Errand(broker, begin, lambda: give_back(Trouble(Kind.STOPPED, "stopped")))
    return errand.run() or len(found)
