"""The fleet as its heartbeats show it, for whoever watches."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from schemas import read_heartbeat
from worker.amqp.session import SessionError
from worker.core.rate_limit import rates

if TYPE_CHECKING:
    from schemas import Heartbeat, LaneBeat
    from worker.amqp.session import DeliveryStream, Session

BEAT_EVERY = 5.0
"""Seconds between two heartbeats of a worker to which nothing happens."""
LATE_AFTER = BEAT_EVERY + 1.0
"""Seconds without a heartbeat after which what others say is believed rather."""
SILENT_AFTER = 15.0
"""Seconds without a heartbeat after which a replica is called silent."""
CLOCKS_APART = 10.0
"""Seconds by which a replica's clock may differ from ours before that is spoken of."""
GONE_AFTER = 900.0
"""Seconds after which a silent replica is not spoken of any more."""


@dataclass(slots=True)
class Replica:
    """The last that was heard of one worker."""

    beat: Heartbeat
    heard_at: float
    """Monotonic seconds."""
    ahead: float
    """Seconds by which its clock was ahead of ours."""


@dataclass(slots=True)
class Fleet:
    """Every replica that was heard, by its name."""

    replicas: dict[str, Replica] = field(default_factory=dict)

    def hear(self, body: bytes, now: float) -> None:
        """Take in a heartbeat; one that says goodbye is forgotten."""
        beat = read_heartbeat(body)
        if beat is not None and beat.ending:
            self.replicas.pop(beat.replica, None)
        elif beat is not None:
            ahead = (beat.at - datetime.now(UTC)).total_seconds()
            self.replicas[beat.replica] = Replica(beat, now, ahead)

    def went_by(self, seconds: float) -> None:
        """So long nobody could be heard: no silence grows by it."""
        for replica in self.replicas.values():
            replica.heard_at += seconds

    def forget(self, now: float) -> None:
        """Speak no more of replicas that have been silent for too long."""
        self.replicas = {
            name: one for name, one in self.replicas.items() if now - one.heard_at < GONE_AFTER
        }

    def silent(self, now: float) -> list[tuple[str, float]]:
        """Replicas that fell silent, and for how many seconds they have been."""
        quiet = ((name, now - one.heard_at) for name, one in self.replicas.items())
        return sorted((n, age) for n, age in quiet if SILENT_AFTER <= age < GONE_AFTER)

    @property
    def clocks_apart(self) -> list[tuple[str, float]]:
        """Replicas whose clocks differ from ours, and by how many seconds they are ahead."""
        ahead = ((name, one.ahead) for name, one in self.replicas.items())
        return sorted((name, by) for name, by in ahead if abs(by) > CLOCKS_APART)

    def of(self, account: str, now: float) -> list[tuple[str, LaneBeat]]:
        """What the replicas that are not silent say of an account, who serves it first.

        Who was killed goes on serving as far as its last heartbeat tells: of two that serve, the
        one heard last does, and one whose heartbeat is overdue comes after all others.
        """
        said = [
            (now - one.heard_at, name, one.beat.accounts[account])
            for name, one in self.replicas.items()
            if account in one.beat.accounts and now - one.heard_at < SILENT_AFTER
        ]

        def rank(each: tuple[float, str, LaneBeat]) -> tuple[bool, bool, float, str]:
            age, name, lane = each
            return age > LATE_AFTER, not lane.serving, age if lane.serving else 0.0, name

        return [(name, lane) for _, name, lane in sorted(said, key=rank)]

    def favourite(self, account: str, now: float) -> str | None:
        """The replica that draws the highest priority for an account; None if none tells one."""
        said = [(lane.priority, name) for name, lane in self.of(account, now) if lane.priority]
        return max(said, default=(0, None))[1]

    @property
    def accounts(self) -> list[str]:
        """Every account that any replica speaks of."""
        return sorted({name for one in self.replicas.values() for name in one.beat.accounts})


def allowed(limits: str) -> float | None:
    """Calls a second that all limits together allow for long; None if that is no number."""
    try:
        return min(rate.calls / rate.seconds for rate in rates(limits))
    except ValueError:
        return None


def seconds_left(waiting: int | None, rate: float | None, state: str) -> float | None:
    """How long what waits takes at the allowed rate; None while nothing goes out."""
    if waiting == 0:
        return 0.0
    if not waiting or not rate or state != "running":
        return None
    return round(waiting / rate, 1)


async def ask_for_beats(session: Session) -> None:
    """Have every worker send a heartbeat now: each marker in the control stream makes it.

    Whoever may not write there waits for the next one instead.
    """
    with suppress(SessionError):
        await session.mark(session.names.control)


async def gather(beats: DeliveryStream, fleet: Fleet, until: float) -> None:
    """Take in heartbeats until that moment of the loop's clock."""
    loop = asyncio.get_running_loop()
    while (left := until - loop.time()) > 0:
        delivery = await beats.within(left)
        if delivery is not None:
            fleet.hear(delivery.body, loop.time())
