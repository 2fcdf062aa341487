"""The state of a lane for `/lanes`: what an operator asks first, without secrets or contents."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from worker.core.health import State
from worker.ops.glance import glance

if TYPE_CHECKING:
    from worker.lane import Lane
    from worker.tally import Tally

MOST_STATUSES = 20


def lane_report(lane: Lane, *, now: float, wall: datetime) -> dict[str, object]:
    """A lane as JSON; times are RFC 3339 in UTC.

    `now` and `wall` are this very moment, in monotonic seconds and as an aware date-time. Callable
    from any thread.
    """
    health, pause = lane.standing.health, lane.paused
    seen = glance(lane)

    def moment(monotonic: float | None) -> str | None:
        return None if monotonic is None else _shown(wall + timedelta(seconds=monotonic - now))

    why: str | None = health.why
    until = moment(health.until)
    spent = lane.used_up(now)
    if pause is not None:
        why, until = pause.why, None if pause.until is None else _shown(pause.until)
    elif spent is not None and health.state is State.RUNNING:
        why, until = f"the limit {spent[0]} is used up", moment(spent[1])
    return {
        "state": lane.state,
        "why": why,
        "api_status": health.status,
        "since": moment(health.since) if pause is None else _shown(pause.at),
        "until": until,
        "paused": pause
        and {"by": pause.actor, "why": pause.why, "until": pause.until and _shown(pause.until)},
        "open": lane.is_open,
        "draining": lane.draining,
        "in_flight": lane.in_flight,
        "waiting": seen.waiting,
        "held": seen.held,
        "unconfirmed": lane.unconfirmed,
        "oldest_held_since": moment(seen.oldest),
        "rate": ",".join(map(str, lane.account.rates)),
        "concurrency": lane.account.concurrency,
        "app_ids": sorted(lane.account.bounds.app_ids),
        **_counts(lane.tally, wall),
    }


def _counts(tally: Tally, wall: datetime) -> dict[str, object]:
    """What was counted since the process started."""
    success = tally.last_success
    edits = {reason or outcome: count for (outcome, reason), count in dict(tally.outcomes).items()}
    return {
        "last_success": None
        if success is None
        else _shown(datetime.fromtimestamp(success, wall.tzinfo)),
        "clock_skew_seconds": round(tally.clock_skew, 3),
        "edits": edits,
        "calls": dict(Counter(dict(tally.calls)).most_common(MOST_STATUSES)),
        "retries": tally.retries,
        "repeats": tally.repeats,
        "handed_on": tally.handed_on,
        "redeliveries": tally.redeliveries,
        "throttles": tally.throttles,
        "suspensions": tally.suspensions,
        "given_back": tally.give_backs,
    }


def _shown(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
