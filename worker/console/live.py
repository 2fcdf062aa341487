"""RabbitMQ followed live: heartbeats, pauses, operations, the journal, and how deep queues are."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, cast

import structlog

from schemas import read_control_entry
from schemas.names import PLACE_HEADER
from worker.amqp import admin
from worker.amqp.session import (
    LOCKED,
    MARKER,
    NOT_FOUND,
    OFFSET,
    ChannelClosedError,
    FailureKind,
    SessionError,
    connected,
    task_group,
)
from worker.console.model import BrokerState, fault
from worker.console.operation_log import whole
from worker.core.rate_limit import SLOTS_TYPE
from worker.fleet.control import Pauses
from worker.fleet.watch import BEAT_EVERY, Fleet, ask_for_beats

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from schemas import Event
    from worker.amqp.session import Broker, Session
    from worker.console.changes import Changes
    from worker.console.event_index import EventIndex
    from worker.console.letter_index import LetterIndex
    from worker.console.model import Part
    from worker.console.operation_log import OperationLog
    from worker.core.message import Delivery

log = structlog.get_logger()

SHORTEST_WAIT: Final = 0.2
LONGEST_WAIT: Final = 5.0
"""Seconds between two attempts to connect."""
MANY: Final = 10
"""Failures in a row after which the wait grows no longer."""
LOOK_FOR_IT_EVERY: Final = 5.0
"""Seconds until an exchange or a stream that was not there, or its end, is looked for again."""
DECLARES_EVERY: Final = 0.2
LANES_BETWEEN: Final = 4
"""The dead letters are counted again after so many lanes."""
ABSENT_FOR: Final = 60.0
"""Seconds until a queue that was not there is asked for again: RabbitMQ logs each such question."""
BLOCK: Final = 20_000
"""Events that are read at once, when the journal is read backwards."""
EVERY_PAGE: Final[tuple[Part, ...]] = ("fleet", "dead", "events", "operations")
"""The parts that change with what every page shows."""
BREATHE_EVERY: Final = 200
"""Events after which others have their turn."""


class Live:
    """What RabbitMQ tells of the fleet, over as many connections as it takes."""

    def __init__(
        self,
        broker: Broker,
        events: EventIndex,
        letters: LetterIndex,
        operations: OperationLog,
        changes: Changes,
    ) -> None:
        self.state = BrokerState(is_up=False, since=datetime.now(UTC), why="not connected yet")
        self.fleet = Fleet()
        self.pauses = Pauses()
        self.depths: dict[str, int | None] = {}
        """Ready messages by queue; None of one that is not there."""
        self.is_held = False
        """Whether somebody is at the dead letters, as far as was seen."""
        self.flow = 0
        """Letters that came or went by what was heard; only ever grows."""
        self.up_at = 0.0
        self.lost_at: float | None = 0.0
        """Monotonic seconds of the last connection and, while there is none, of its loss."""
        self._broker = broker
        self._events = events
        self._letters = letters
        self._operations = operations
        self._changes = changes
        self.asks_for_lock = False
        """Whether it matters who is at the dead letters."""
        self._absent: dict[str, float] = {}
        """When each queue that was not there was asked for."""
        self._next_operation: int | None = None
        self._next_event: int | None = None
        self._unread_below: int | None = None
        """Place in the journal from which on everything is read, or being followed."""
        self._known = asyncio.Event()
        """Set once that place is known."""

    async def run(self) -> None:
        """Follow until cancelled, whatever ends one connection."""
        failures = 0
        while True:
            try:
                async with connected(self._broker, asyncio.Event()) as session:
                    self._up()
                    failures = 0
                    async with task_group() as group:
                        for follow in (
                            self._heartbeats,
                            self._silences,
                            self._control,
                            self._log,
                            self._journal,
                            self._backfill,
                            self._count,
                        ):
                            group.create_task(self._kept(follow, session))
            except SessionError as error:
                self._down(error.failure.why)
            except Exception as error:
                log.exception("console_follow_failed")
                self._down(fault(error))
                failures = MANY
            failures = min(failures + 1, MANY)
            await asyncio.sleep(min(LONGEST_WAIT, SHORTEST_WAIT * 2**failures))

    @property
    def now(self) -> float:
        """The moment in monotonic seconds that silences are told by: none grows while cut off."""
        return asyncio.get_running_loop().time() if self.lost_at is None else self.lost_at

    def _up(self) -> None:
        silences_end = self.now
        self.up_at, self.lost_at = asyncio.get_running_loop().time(), None
        self.fleet.went_by(self.up_at - silences_end)
        self.state = replace(self.state, is_up=True, since=datetime.now(UTC), why=None)
        self._changes.touch(*EVERY_PAGE)

    def _down(self, why: str) -> None:
        now = datetime.now(UTC)
        if self.state.is_up:
            self.lost_at = asyncio.get_running_loop().time()
            self.state = replace(self.state, is_up=False, since=now, heard_at=now)
        self.state = replace(self.state, why=why)
        self._operations.is_locked = None
        self._changes.touch(*EVERY_PAGE)

    async def _kept(self, follow: Callable[[Session], Awaitable[None]], session: Session) -> None:
        """Follow on when what is followed is absent for a while; raises for a lost connection."""
        while True:
            try:
                await follow(session)
            except SessionError as error:
                if _is_lost(error):
                    raise
                if follow in {self._journal, self._backfill}:
                    self._events.why = error.failure.why
                    self._changes.touch("events", "fleet")
                await asyncio.sleep(LOOK_FOR_IT_EVERY)
            else:
                return

    # The fleet

    async def _heartbeats(self, session: Session) -> None:
        beats = await session.events(session.names.fleet)
        await ask_for_beats(session)
        async for delivery in beats:
            self.fleet.hear(delivery.body, asyncio.get_running_loop().time())
            self._changes.touch("fleet")

    async def _silences(self, _: Session) -> None:
        """Time passes also where nobody is heard: who has not been is then told."""
        while True:
            await asyncio.sleep(BEAT_EVERY)
            self.fleet.forget(self.now)
            self._changes.touch("fleet")

    async def _control(self, session: Session) -> None:
        async for delivery in session.stream(session.names.control, "first", follow=True):
            entry = None if _is_ours(delivery) else read_control_entry(delivery.body)
            if entry is not None:
                self.pauses.hear(entry)
                self._changes.touch("fleet")

    async def _log(self, session: Session) -> None:
        begin = "first" if self._next_operation is None else self._next_operation
        async for delivery in session.stream(session.names.operations, begin, follow=True):
            self._next_operation = _place(delivery) + 1
            record = self._operations.hear(delivery)
            if record is None:
                continue
            result = record.result or {}
            gone = sum(whole(result, name) for name in ("sent", "copies", "discarded"))
            if record.phase == "ended" and record.count == len(record.ids) == gone:
                self._letters.remove(record.ids)
                self.flow += gone
            self._changes.touch("operations", "dead")

    # The journal

    async def _journal(self, session: Session) -> None:
        if self._events.why is not None:
            await session.mark(session.names.journal)  # comes as a sign that it can be read again
        begin = "last" if self._next_event is None else self._next_event
        async for delivery in session.stream(session.names.journal, begin, follow=True):
            place = _place(delivery)
            self._is_readable()
            self._next_event = place + 1
            if self._unread_below is None:
                self._unread_below = place
                self._known.set()
            event = None if _is_ours(delivery) else self._add(place, delivery)
            if event is None:
                continue
            self._changes.touch("events", "fleet")
            is_new = event.data.outcome == "rejected" and not self._events.knows(event.id, place)
            if is_new and self._letters.died(event):
                self.flow += 1
                self._changes.touch("dead")

    async def _backfill(self, session: Session) -> None:
        """Read the journal backwards, block by block, as far as there is room for it."""
        while self._unread_below is None:
            if not await session.mark(session.names.journal):
                break
            # whoever follows sees where its end is; not always, where that begins at this moment
            with suppress(TimeoutError):
                await asyncio.wait_for(self._known.wait(), LOOK_FOR_IT_EVERY)
        await self._known.wait()
        end = self._unread_below
        while end and len(self._events) < self._events.at_most:
            first = max(0, end - BLOCK)
            found = await self._read(session, first, end)
            self._unread_below = end = first if found is not None and found <= first else 0
            self._changes.touch("events")
        if not end:
            self._events.is_complete = True

    async def _read(self, session: Session, first: int, end: int) -> int | None:
        """Take in the events from one place up to another; the place of the first that is there."""
        found: int | None = None
        stream = session.stream(session.names.journal, first, follow=True)
        async with aclosing(cast("AsyncGenerator[Delivery]", stream)) as entries:
            async for delivery in entries:
                place = _place(delivery)
                self._is_readable()
                found = place if found is None else found
                if place >= end:
                    break
                if place >= first and not _is_ours(delivery):
                    self._add(place, delivery)
                if place % BREATHE_EVERY == 0:
                    await asyncio.sleep(0)
        return found

    def _is_readable(self) -> None:
        """The journal: an entry of it has come."""
        if self._events.why is not None:
            self._events.why = None
            self._changes.touch("events", "fleet")

    def _add(self, place: int, delivery: Delivery) -> Event | None:
        return self._events.add(
            place, delivery.body, delivery.properties.headers.text(PLACE_HEADER)
        )

    # Queues

    async def _count(self, session: Session) -> None:
        names = session.names
        while True:
            lanes = sorted(self.accounts())
            for number, account in enumerate(lanes or [""]):
                if number % LANES_BETWEEN == 0:
                    await self._counted(session, names.dead)
                    await asyncio.sleep(DECLARES_EVERY)
                if account:
                    await self._counted(session, names.lane(account))
                await asyncio.sleep(DECLARES_EVERY)

    def accounts(self) -> set[str]:
        """Every account that anything was heard of; one with a queue stays, whoever is gone."""
        told = {*self.fleet.accounts, *self.pauses.accounts, *self._letters.by_account()} - {"-"}
        there = (queue for queue, ready in self.depths.items() if ready is not None)
        return told | {name for each in there if (name := self._broker.names.account_of(each))}

    async def _counted(self, session: Session, queue: str) -> None:
        now, is_dead = asyncio.get_running_loop().time(), queue == session.names.dead
        if now - self._absent.get(queue, -ABSENT_FOR) < ABSENT_FOR:
            return
        found = await admin.count(session, queue)
        ready, takers = (None, 0) if isinstance(found, ChannelClosedError) else found
        if ready is None:
            self._absent[queue] = now
        else:
            self._absent.pop(queue, None)
        if is_dead and await self._see_holder(session, is_taken=takers > 0):
            return  # RabbitMQ does not count what is held: the count before stays
        if self.depths.get(queue, -1) != ready:
            self.depths[queue] = ready
            self._changes.touch(*(EVERY_PAGE if is_dead else ("fleet",)))

    async def _see_holder(self, session: Session, *, is_taken: bool) -> bool:
        """Whether somebody is at the dead letters, or was when they were counted before.

        RabbitMQ is asked who holds the lock only if that matters to anybody.
        """
        operations, was_held = self._operations, self.is_held
        may_be_held = is_taken or (was_held and not operations.running)
        if may_be_held or self.asks_for_lock or operations.has_open:
            operations.see_lock(is_locked=await _is_locked(session))
        else:
            operations.is_locked = None
        self.is_held = bool(operations.is_locked or operations.running)
        if self.is_held != was_held:
            self._changes.touch(*EVERY_PAGE)
        return self.is_held or was_held


async def _is_locked(session: Session) -> bool | None:
    """Whether a command is at the dead letters; None when that is not to be seen."""
    found = await admin.count(session, session.names.dead_lock)
    if isinstance(found, ChannelClosedError):
        return {LOCKED: True, NOT_FOUND: False}.get(found.code or 0)
    return True


def _is_lost(error: SessionError) -> bool:
    """Whether the connection is gone, rather than something refused or absent."""
    return error.failure.kind is FailureKind.ABSENT and getattr(error, "code", None) is None


def _is_ours(delivery: Delivery) -> bool:
    """Whether it is an entry that only readers of the stream need."""
    return delivery.properties.type in {MARKER, SLOTS_TYPE}


def _place(delivery: Delivery) -> int:
    """Where an entry stands in its stream."""
    text = delivery.properties.headers.text(OFFSET)
    with suppress(ValueError):
        return int(text or "")
    raise SessionError(FailureKind.NO_STREAM, "what comes has no place in a stream")
