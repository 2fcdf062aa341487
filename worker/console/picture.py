"""Everything that the first page shows, put together from what was heard."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from schemas import LaneBeat
from worker.console.model import Account, EventFilter, Picture, Replica
from worker.console.troubles import troubles_of
from worker.fleet.beat import paused
from worker.fleet.watch import BEAT_EVERY, SILENT_AFTER, allowed, seconds_left

if TYPE_CHECKING:
    from schemas import Names
    from worker.console.causes import Cause
    from worker.console.event_index import EventIndex
    from worker.console.letters import Letters
    from worker.console.live import Live
    from worker.console.operation_log import OperationLog

REJECTIONS_SHOWN: Final = 10
HEARD_WITHIN: Final = BEAT_EVERY + 1.0
"""Seconds of a connection in which every worker has sent a heartbeat."""
QUARTER: Final = timedelta(minutes=15)
INTERRUPTED_SHOWN: Final = timedelta(days=1)
_NOTHING: Final = LaneBeat(serving=False, state="", rate_allowed="")


class PictureSource:
    """Makes pictures of the fleet; each is of its moment."""

    def __init__(
        self,
        names: Names,
        live: Live,
        events: EventIndex,
        letters: Letters,
        operations: OperationLog,
    ) -> None:
        self._names = names
        self._live = live
        self._events = events
        self._letters = letters
        self._operations = operations

    def picture(self) -> Picture:
        """How everything is now, or was when RabbitMQ was heard last."""
        at, state = datetime.now(UTC), self._live.state
        shown_at = at if state.is_up else state.heard_at or at
        replicas = tuple(self._replicas(shown_at))
        accounts = tuple(self._accounts(shown_at))
        letters, journal = self._letters.state(), self._events.state()
        is_heard = self._live.now - self._live.up_at >= HEARD_WITHIN
        interrupted = [
            row
            for row in self._operations.unended()
            if row.can_go_on and at - row.at < INTERRUPTED_SHOWN
        ]
        return Picture(
            at=at,
            broker=state,
            accounts=accounts,
            replicas=replicas,
            troubles=troubles_of(
                broker=state,
                accounts=accounts,
                replicas=replicas,
                rejections=self._rejections(shown_at),
                interrupted=interrupted,
                unread={"letters_unseen": letters.why, "journal_unread": journal.why},
                is_heard=is_heard,
            ),
            letters=letters,
            journal=journal,
            is_heard=is_heard,
        )

    def _rejections(self, at: datetime) -> list[tuple[str, Cause, int, int | None]]:
        """What died in the last hour, and how many of its cause are dead if that is known."""
        found = self._events.recent.rejections(at)
        is_known = bool(found) and self._letters.looked_at is not None
        left = self._letters.index.by_cause() if is_known else {}
        return [
            (name, cause, count, left.get((name, cause.id), 0) if is_known else None)
            for name, cause, count in found
        ]

    def _replicas(self, at: datetime) -> list[Replica]:
        found = []
        for name, one in sorted(self._live.fleet.replicas.items()):
            quiet = self._live.now - one.heard_at
            lanes = sorted(one.beat.accounts.items())
            found.append(
                Replica(
                    name=name,
                    version=one.beat.version,
                    serves=tuple(account for account, lane in lanes if lane.serving),
                    stands_by=tuple(account for account, lane in lanes if not lane.serving),
                    heard_at=at - timedelta(seconds=quiet),
                    is_silent=quiet >= SILENT_AFTER,
                    is_ready=one.beat.ready,
                    why=one.beat.why,
                )
            )
        return found

    def _accounts(self, at: datetime) -> list[Account]:
        recent = self._events.recent
        used, statuses, dead = recent.used(at), recent.statuses(at), self._letters.by_account()
        return [
            self._account(
                name,
                at,
                used.get(name, ()),
                statuses.get(name, ()),
                None if dead is None else dead.get(name, 0),
            )
            for name in sorted(self._live.accounts())
            if name in self._live.fleet.accounts
            or self._live.depths.get(self._names.lane(name)) is not None
        ]

    def _account(
        self,
        name: str,
        at: datetime,
        used: tuple[float, ...],
        statuses: tuple[tuple[str, int], ...],
        dead: int | None,
    ) -> Account:
        heard = self._live.fleet.of(name, self._live.now)
        said = [
            one.beat.accounts[name]
            for one in self._live.fleet.replicas.values()
            if name in one.beat.accounts
        ]
        serving = [each for each in heard if each[1].serving]
        lane = [*(lane for _, lane in serving or heard), *said, _NOTHING][0]
        replica = serving[0][0] if serving else None
        entry = self._live.pauses.of(name, at)
        pause = paused(entry) if entry else lane.paused if heard else None
        if pause is not None:
            state, why, since, until = "paused", pause.why, pause.since, pause.until
        elif replica is None:
            state, why, since, until = "unserved", None, None, None
        else:
            state, why, since, until = lane.state, lane.why, lane.since, lane.until
        rate, ready = allowed(lane.rate_allowed), self._live.depths.get(self._names.lane(name))
        waiting = None if ready is None else ready + (lane.held if replica else 0)
        return Account(
            name=name,
            state=state,
            why=why,
            api_status=lane.api_status if replica else None,
            since=since,
            until=until,
            paused=pause,
            limits=lane.rate_allowed,
            rate_allowed=rate,
            rate_used=lane.rate_used if replica else 0.0,
            used_lately=used,
            waiting=waiting,
            seconds_left=seconds_left(waiting, rate, state),
            dead=dead,
            last_success=max((one.last_success for one in said if one.last_success), default=None),
            replica=replica,
            statuses=statuses,
            rejections=tuple(
                row
                for row in self._events.page(
                    EventFilter(account=name, outcome="rejected"), limit=REJECTIONS_SHOWN
                ).rows
                if at - row.at < QUARTER
            ),
        )
