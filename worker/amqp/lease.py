"""Proof that RabbitMQ still counts us as alive, so that the lanes we serve are ours.

A replica that was frozen, or cut off, can wake after its lanes went to another. Bytes that lay in
the socket prove nothing then, so the lease counts from when a question was *asked*. RabbitMQ gives
a silent client up no sooner than a heartbeat after it last heard from it; one whose connection ends
on RabbitMQ's side only, at once. So whoever takes a lane over waits for the term before it calls
(see `worker.service`), which is why the term is short.

RabbitMQ's clock goes on while this machine is suspended or paused, so the lease is measured by the
clock of ours that has moved most (`worker.core.clock`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.clock import moment
from worker.core.clock import elapsed

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from pika.channel import Channel

    from worker.amqp.loop import PikaLoop
    from worker.core.clock import Moment

LONGEST_TERM = 1.0
"""Seconds; at most a heartbeat, and short enough for a lane to change hands in two seconds."""
QUESTIONS_A_TERM = 5


class Lease:
    """Asks RabbitMQ for an answer several times a term, on the connection that consumes."""

    def __init__(
        self, loop: PikaLoop, heartbeat: timedelta, *, regained: Callable[[], None]
    ) -> None:
        """`regained` is called when the lease holds again after it had run out."""
        self._loop = loop
        self.term = min(heartbeat.total_seconds(), LONGEST_TERM)
        """For how many seconds an answer holds, from its question."""
        self._regained = regained
        self._channel: Channel | None = None
        self._since: Moment | None = None
        """When the question was asked that was answered last."""
        self._asked = False

    def holds(self) -> bool:
        """Whether RabbitMQ was heard from within the term; callable from any thread."""
        since = self._since
        return since is not None and elapsed(since, moment()) < self.term

    def start(self, channel: Channel) -> None:
        """Ask on `channel`, a fresh one of the connection that consumes, until `stop`."""
        self._channel = channel
        self._asked = False
        self._ask()

    def stop(self) -> None:
        """The connection is gone, and the lease with it."""
        self._channel = None
        self._since = None

    def _ask(self) -> None:
        channel = self._channel
        if channel is None or not channel.is_open:
            return
        if not self._asked:
            self._asked = True
            asked_at = moment()
            channel.basic_qos(
                prefetch_count=1, callback=lambda _: self._answered(channel, asked_at)
            )
        self._loop.call_later(self.term / QUESTIONS_A_TERM, lambda: self._ask_on(channel))

    def _ask_on(self, channel: Channel) -> None:
        if channel is self._channel:
            self._ask()

    def _answered(self, channel: Channel, asked_at: Moment) -> None:
        if channel is not self._channel:
            return
        self._asked = False
        held = self.holds()
        self._since = asked_at
        if not held and self.holds():
            self._regained()
