"""A look at the dead letters that leaves them as they are."""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from worker.amqp.letters import WholeQueue
from worker.amqp.lock import Lock
from worker.visits.broker import Errand, Kind, Trouble

if TYPE_CHECKING:
    from collections.abc import Callable

    from pika.connection import Connection  # noqa: TID251 (its type, never pika itself)

    from worker.core.delivery import Delivery
    from worker.visits.broker import Broker


def look(broker: Broker, doing: str, see: Callable[[Delivery], None]) -> int | Trouble:
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
        stopped = Trouble(Kind.STOPPED, "stopped")
        if queue is None:
            errand.end(stopped)
        else:
            queue.give_back(lambda: errand.end(stopped))

    def failed(why: str) -> None:
        errand.end(Trouble(Kind.ABSENT, why))

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
        errand.end(Trouble(Kind.BUSY, f"at the letters already: {who or 'another command'}"))

    Lock(
        errand.loop,
        connection,
        broker.names.dead_lock,
        who=_who(doing),
        held=held,
        taken=taken,
        failed=lambda why: errand.end(Trouble(Kind.FAILED, why)),
    ).take()


def _who(doing: str) -> str:
    since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"{doing} on {socket.gethostname()}, process {os.getpid()}, since {since}"
