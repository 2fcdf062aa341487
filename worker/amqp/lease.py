"""Proof that RabbitMQ still counts us as alive, so that the lanes we serve are ours.

A replica that was frozen, or cut off, can wake after its lanes went to another. Bytes that lay in
the socket prove nothing then, so the lease counts from when a question was *asked*. RabbitMQ gives
a silent client up no sooner than a heartbeat after it last heard from it; one whose connection ends
on RabbitMQ's side only, at once. So whoever takes a lane over waits for the term before it calls
(see `worker.pipeline.takeover`), which is why the term is short.

RabbitMQ's clock goes on while this machine is suspended or paused, so the lease is measured by the
clock of ours that has moved most.
"""

from __future__ import annotations

import time
from asyncio import sleep
from typing import TYPE_CHECKING, NamedTuple

from worker.amqp.session import ChannelClosedError, channel_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from pika.connection import Connection

LONGEST_TERM = 1.0
"""Seconds; at most a heartbeat, and short enough for a lane to change hands in two seconds."""
QUESTIONS_A_TERM = 5
_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # Linux alone has it


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
                begun, asked_at = time.monotonic(), moment()
                await channel.call("basic_qos", prefetch_count=1)
                held = self.holds()
                self._since = asked_at
                if not held and self.holds():
                    self._regained()
                await sleep(max(0.0, begun + self.term / QUESTIONS_A_TERM - time.monotonic()))
        except ChannelClosedError:
            return  # only ever with its connection
        finally:
            self._since = None


class Moment(NamedTuple):
    """Three clocks read together, in seconds; each counts from a start of its own."""

    monotonic: float
    """Stands still while the machine is suspended."""
    boot: float
    """Goes on then, but stands still while a virtual machine is paused from outside."""
    wall: float
    """Is right again after either, but can be set, forwards and back."""


def elapsed(since: Moment, now: Moment) -> float:
    """Seconds from `since` to `now` at the most: each clock can have missed some, so the largest.

    Whoever relies on it gives up what it holds too early when the wall clock is set forwards.
    Keeping it too long is what would do harm.
    """
    return max(now[0] - since[0], now[1] - since[1], now[2] - since[2])


def moment() -> Moment:
    """Read them now; callable from any thread."""
    return Moment(time.monotonic(), time.clock_gettime(_BOOT), time.time())
