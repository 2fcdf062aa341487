"""Heartbeats of this worker: how it and each of its lanes is."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING

from schemas import Heartbeat, LaneBeat, Paused
from worker.observability import status

if TYPE_CHECKING:
    from schemas import ControlEntry
    from worker.app import Worker
    from worker.pipeline.lane import Lane

USED_OVER = 5.0
"""Seconds over which the calls of an account are counted."""


class HeartbeatSource:
    """Makes heartbeats of a worker, on its loop's thread."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._calls: dict[str, deque[tuple[float, int]]] = {}
        """Of each account: how many calls there had been, and when that was."""

    def beat(self) -> Heartbeat:
        """How the worker is at this moment."""
        worker, now = self._worker, monotonic()
        self._calls = {name: self._calls.get(name, deque()) for name in worker.lanes}
        why = status.ready(worker)
        return Heartbeat(
            replica=worker.settings.replica,
            version=worker.version,
            at=datetime.now(UTC),
            ready=why is None,
            why=why,
            accounts={name: self._lane(name, lane, now) for name, lane in worker.lanes.items()},
        )

    def news(self) -> object:
        """What of a heartbeat is worth one of its own when it changes. Asked often, so cheap."""
        lanes = [
            (
                lane.account.name,
                self._worker.serves(name),
                lane.state,
                lane.standing.health.why,
                self._worker.heeded(name),
                lane.paused,
            )
            for name, lane in self._worker.lanes.items()
        ]
        return status.ready(self._worker), lanes

    def _lane(self, name: str, lane: Lane, now: float) -> LaneBeat:
        def moment(at: float | None) -> datetime | None:
            return None if at is None else datetime.now(UTC) + timedelta(seconds=at - now)

        health, success, pause = lane.standing.health, lane.tally.last_success, lane.paused
        return LaneBeat(
            serving=self._worker.serves(name),
            priority=self._worker.priority(name),
            state=lane.state,
            why=health.why if pause is None else pause.why,
            api_status=health.status,
            since=moment(health.since) if pause is None else pause.at,
            until=moment(health.until) if pause is None else pause.until,
            paused=None if pause is None else paused(pause),
            control=self._worker.heeded(name),
            rate_allowed=",".join(map(str, lane.account.rates)),
            rate_used=self._used(name, lane, now),
            in_flight=lane.in_flight,
            held=len(lane.window),
            last_success=None if success is None else datetime.fromtimestamp(success, UTC),
        )

    def _used(self, name: str, lane: Lane, now: float) -> float:
        """Calls a second, over the last seconds."""
        counts = self._calls[name]
        counts.append((now, lane.tally.calls.total()))
        while counts[0][0] < now - USED_OVER and counts[1][0] < now:
            counts.popleft()
        since, before = counts[0]
        return round((counts[-1][1] - before) / (now - since), 2) if now > since else 0.0


def paused(entry: ControlEntry) -> Paused:
    """A pause as others are told of it."""
    return Paused(by=entry.actor, why=entry.why, since=entry.at, until=entry.until)
