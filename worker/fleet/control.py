"""Pauses: entries of the control stream, written there and waited for until workers heed them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from schemas import ControlEntry, read_control_entry
from worker.amqp.admin import count
from worker.amqp.session import NOT_FOUND, ChannelClosedError, FailureKind, SessionError
from worker.fleet.operations import CONTROL_TYPE, begun, recorded, write
from worker.fleet.watch import BEAT_EVERY, Fleet, ask_for_beats

if TYPE_CHECKING:
    from typing import Literal

    from worker.amqp.session import DeliveryStream, Session

ANSWERS_WITHIN: Final = BEAT_EVERY + 3.0
LOOK_EVERY: Final = 0.5
"""Seconds between looks whether anybody consumes what is paused."""


@dataclass(slots=True)
class Pauses:
    """The last entry of each account; a later one replaces an earlier one, whoever wrote it."""

    _last: dict[str, ControlEntry] = field(default_factory=dict)
    _heard: set[tuple[str, str, datetime]] = field(default_factory=set)

    def hear(self, entry: ControlEntry) -> bool:
        """Take in the next entry of the stream; False for one that was heard before.

        The stream is read anew from its first entry on each connection, and a pause of last week
        must not hold again until its end is reached.
        """
        name = entry.id, entry.action, entry.at
        if name in self._heard:
            return False
        self._heard.add(name)
        self._last[entry.account] = entry
        return True

    def last(self, account: str) -> ControlEntry | None:
        """The last entry of an account, whether it holds still or not."""
        return self._last.get(account)

    @property
    def accounts(self) -> list[str]:
        """Every account that anything was wanted of."""
        return sorted(self._last)

    def of(self, account: str, now: datetime) -> ControlEntry | None:
        """The pause that holds for an account at `now` (aware); None when it may work."""
        entry = self._last.get(account)
        if entry is None or entry.action != "pause":
            return None
        return None if entry.until is not None and entry.until <= now else entry


@dataclass(frozen=True, slots=True)
class Ordered:
    """A wish that is written down."""

    entry: ControlEntry
    replaced: ControlEntry | None
    """The pause that held before."""
    replicas: tuple[str, ...]
    """Those that have taken it; none when no worker answered, or another one may be calling."""


async def ordered(
    session: Session,
    action: Literal["pause", "resume"],
    account: str,
    *,
    actor: str,
    via: Literal["cli", "console"],
    why: str | None,
    until: datetime | None = None,
) -> Ordered:
    """Pause or resume an account, and wait until whoever may be calling for it has taken that.

    Raises `SessionError`: failed, when RabbitMQ has no lane of that account, or when it cannot be
    recorded.
    """
    beats = await session.events(session.names.fleet)
    before = await _before(session, account)
    if action == "pause" or before is None:  # the lane of a paused account may be gone
        await _has_lane(session, account)
    entry = ControlEntry(
        id=str(uuid4()),
        action=action,
        account=account,
        actor=actor,
        user=session.user,
        via=via,
        why=why,
        at=datetime.now(UTC),
        until=until,
    )
    what = {"account": account, "until": until}
    begin = begun(action, what=what, why=why, actor=actor, via=via)
    async with recorded(session, begin) as operation:
        await write(session, session.names.control, CONTROL_TYPE, entry)
        answered = await _heeded(session, beats, entry)
        operation.result["replicas"] = answered
    return Ordered(entry, before, tuple(answered))


async def _heeded(session: Session, beats: DeliveryStream, entry: ControlEntry) -> list[str]:
    """The replicas that have taken the entry; of a pause none, as long as others may be calling.

    A replica that is cut off from the control stream alone says nothing, but consumes still.
    """
    loop = asyncio.get_running_loop()
    began, fleet = loop.time(), Fleet()
    queue = session.names.lane(entry.account)
    await ask_for_beats(session)
    while (left := began + ANSWERS_WITHIN - loop.time()) > 0:
        delivery = await beats.within(min(left, LOOK_EVERY))
        if delivery is not None:
            fleet.hear(delivery.body, loop.time())
        said = fleet.of(entry.account, loop.time())
        heeding = [name for name, lane in said if lane.control == entry.id]
        if any(lane.serving and lane.control == entry.id for _, lane in said):
            return heeding
        if not heeding or len(heeding) < len(said):
            continue
        if entry.action == "pause":
            found = await count(session, queue)
            if isinstance(found, ChannelClosedError) and found.code != NOT_FOUND:
                raise found
            if isinstance(found, ChannelClosedError) or not found[1]:
                return heeding
        elif loop.time() - began > BEAT_EVERY + 0.5:
            return heeding
    said = fleet.of(entry.account, loop.time())
    took = [name for name, lane in said if lane.control == entry.id]
    return took if entry.action == "resume" else []


async def _has_lane(session: Session, account: str) -> None:
    """Make sure that the account means something before anything is written down."""
    queue = session.names.lane(account)
    found = await count(session, queue)
    if isinstance(found, ChannelClosedError):
        if found.code != NOT_FOUND:
            raise found
        why = f"there is no account {account!r}: RabbitMQ has no queue {queue}"
        raise SessionError(FailureKind.FAILED, why)


async def _before(session: Session, account: str) -> ControlEntry | None:
    """The pause that holds for the account now."""
    pauses = Pauses()
    async for delivery in session.stream(session.names.control, "first"):
        entry = read_control_entry(delivery.body)
        if entry is not None:
            pauses.hear(entry)
    return pauses.of(account, datetime.now(UTC))
