"""Proof that RabbitMQ still counts us as alive, so that the lanes we serve are ours.

A replica that was frozen, or cut off, can wake after its lanes went to another. Bytes that lay in
the socket prove nothing then, so the lease counts from when a question was *asked*. RabbitMQ gives
a silent client up no sooner than a heartbeat after it last heard from it; one whose connection ends
on RabbitMQ's side only, at once. So whoever takes a lane over waits for the term before it calls
(see `worker.pipeline.takeover`), which is why the term is short.

RabbitMQ's clock goes on while this machine is suspended or paused, so the lease is measured by the
clock of ours that has moved most (`worker.core.clock`).
"""

from __future__ import annotations

from asyncio import sleep
from time import monotonic
from typing import TYPE_CHECKING

from worker.amqp.session import ChannelClosedError, channel_of
from worker.clock import moment
from worker.core.clock import elapsed

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from pika.connection import Connection

    from worker.core.clock import Moment

LONGEST_TERM = 1.0
"""Seconds; at most a heartbeat, and short enough for a lane to change hands in two seconds."""
QUESTIONS_A_TERM = 5


class Lease:
    """Asks RabbitMQ for an answer several times a term, on the connection that consumes."""

    def __init__(self, heartbeat: timedelta, *, regained: Callable[[], None]) -> None:
        """`regained` is called when the lease holds again after it had run out."""
        self.term = min(heartbeat.total_seconds(), LONGEST_TERM)
        """For how many seconds an answer holds, from its question."""
        self._regained = regained
        self._since: Moment | None = None
        """When the question was asked that was answered last."""

    def holds(self) -> bool:
        """Whether RabbitMQ was heard from within the term; callable from any thread."""
        since = self._since
        return since is not None and elapsed(since, moment()) < self.term

    async def keep(self, connection: Connection) -> None:
        """Ask on a channel of the connection that consumes, for as long as it lasts."""
        try:
            channel = await channel_of(connection)
            while True:
                begun, asked_at = monotonic(), moment()
                await channel.call("basic_qos", prefetch_count=1)
                held = self.holds()
                self._since = asked_at
                if not held and self.holds():
                    self._regained()
                await sleep(max(0.0, begun + self.term / QUESTIONS_A_TERM - monotonic()))
        except ChannelClosedError:
            return  # only ever with its connection
        finally:
            self._since = None
