"""The console's one door to RabbitMQ: everything that its pages show and do."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Literal, Self

from worker.amqp.session import SessionError, connected
from worker.cli.doctor import broker as doctor
from worker.cli.doctor.check import Health
from worker.console.changes import Changes
from worker.console.event_index import EventIndex
from worker.console.letter_index import LetterIndex
from worker.console.letters import Letters
from worker.console.live import Live
from worker.console.model import (
    CheckRow,
    EventFilter,
    JobTimeline,
    LetterDetail,
    LetterFilter,
    RefusedError,
    SearchResult,
    UnavailableError,
)
from worker.console.operation_log import OperationLog
from worker.console.picture import PictureSource
from worker.console.plans import Plans, checked
from worker.console.store import opened
from worker.deadletters.history import AlreadySettled, Overtaken, Redrivable
from worker.deadletters.mend import packed
from worker.deadletters.plan import message
from worker.deadletters.serialization import fields_of
from worker.fleet.control import ordered

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime
    from types import TracebackType

    from worker.amqp.session import Broker
    from worker.console.letter_index import Kept
    from worker.console.model import (
        Account,
        Eligible,
        EventRow,
        Group,
        GroupedBy,
        LetterRow,
        MendCheck,
        OperationRow,
        Page,
        Part,
        Picture,
        Plan,
        PlanAction,
        RunOptions,
    )
    from worker.settings import Settings

SHOWN: Final = 100
_RESULTS: Final[dict[Health, Literal["good", "bad"]]] = {Health.GOOD: "good", Health.BAD: "bad"}


class Console:
    """What the pages ask, answered from what was heard; what they do, done at RabbitMQ.

    Reading never fails for want of RabbitMQ: it gives the last that was heard. What is done raises
    `UnavailableError` then, and `RefusedError` when it cannot be done.
    """

    def __init__(self, broker: Broker, settings: Settings) -> None:
        database = opened()
        self._broker = broker
        self._settings = settings
        self._changes = Changes()
        self._events = EventIndex(database)
        self._index = LetterIndex(database)
        self._log = OperationLog(database)
        self._live = Live(broker, self._events, self._index, self._log, self._changes)
        self._letters = Letters(broker, self._index, self._live, self._log, self._changes)
        names, live = broker.names, self._live
        self._pictures = PictureSource(names, live, self._events, self._letters, self._log)
        self._plans = Plans(
            broker, settings, live, self._letters, self._events, self._log, self._changes
        )
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [
            asyncio.create_task(each) for each in (self._live.run(), self._letters.run())
        ]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._plans.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # The first page

    @property
    def is_up(self) -> bool:
        """Whether RabbitMQ answers."""
        return self._live.state.is_up

    def picture(self) -> Picture:
        """How everything is now, or was when RabbitMQ was heard last."""
        found = self._pictures.picture()
        for trouble in found.troubles:
            if trouble.kind == "operation_interrupted" and trouble.facts["left"] is None:
                self._letters.need(trouble.since)
        return found

    def changes(self) -> AsyncIterator[frozenset[Part]]:
        """The parts that have changed, each time that some have."""
        return self._changes.follow()

    def watched(self) -> AbstractContextManager[None]:
        """While somebody looks, the letters are looked at again when RabbitMQ's count differs."""
        return self._letters.watched()

    async def account(self, name: str) -> Account | None:
        """One account."""
        return next((one for one in self.picture().accounts if one.name == name), None)

    # Dead letters

    async def groups(self, by: GroupedBy, filter_: LetterFilter) -> tuple[Group, ...]:
        """The letters that are meant, counted; of what is known by now."""
        self._letters.need()
        return self._index.groups(by, filter_)

    async def letters(
        self, filter_: LetterFilter, cursor: str | None = None, limit: int = 50
    ) -> Page[LetterRow]:
        """The letters that are meant, page by page; of what is known by now."""
        self._letters.need()
        return self._index.page(filter_, cursor, limit)

    async def letter(self, key: str) -> LetterDetail | None:
        """One letter with its content, fetched from the queue if need be; None if it is gone."""
        kept = await self._kept(key)
        if kept is None:
            return None
        letter, had = kept.letter, kept.delivery.properties
        eligible, by, at = await self._eligible(kept)
        said = fields_of(kept.delivery)
        job = letter.head.job_id
        return LetterDetail(
            row=kept.row,
            body=kept.delivery.body,
            content_type=had.content_type,
            properties=tuple((name, str(value)) for name, value in said["properties"].items()),
            headers=tuple(said["headers"].items()),
            received_at=letter.received_at,
            check=checked(letter, kept.delivery, self._settings),
            eligible=eligible,
            superseded_by=by,
            superseded_at=at,
            events=() if job is None else self._of_job(job),
            sent_again=self._log.of_letter(letter.event_id),
        )

    async def check_mend(self, key: str, text: str) -> MendCheck:
        """What the worker would say of a letter with another body."""
        kept = await self._kept(key)
        if kept is None:
            raise RefusedError("gone")
        return checked(kept.letter, kept.delivery, self._settings, packed(text))

    async def _kept(self, key: str) -> Kept | None:
        await self._letters.known()
        kept = self._index.kept(key)
        if kept is None and self._index.rows((key,)):
            async for kept in self._letters.fetch(frozenset((key,))):
                self._index.fetched(kept)
        return kept

    async def _eligible(self, kept: Kept) -> tuple[Eligible, str | None, datetime | None]:
        """Whether the letter may be sent again, as far as the journal is known."""
        history = await self._events.history([kept.letter])
        if history is None:
            return "unknown", None, None
        whose = message(kept.letter)
        match history.standing(kept.letter, self._index.newest((whose,))[whose]):
            case Redrivable():
                return "redrivable", None, None
            case AlreadySettled():
                return "settled", None, None
            case Overtaken(message_id, at):
                return "superseded", message_id, at

    # Plans and operations

    async def plan(
        self,
        action: PlanAction,
        *,
        by: str,
        filter_: LetterFilter | None = None,
        keys: Sequence[str] | None = None,
        mended: Mapping[str, str] | None = None,
        even_if_superseded: bool = False,
    ) -> Plan:
        """What is going to become of these letters; it is being prepared when this returns.

        They are those with the `keys`, or those that are `mended`, or else those of the filter.
        """
        self._reachable()
        bodies = {key: packed(text) for key, text in (mended or {}).items()}
        wanted, even = filter_ or LetterFilter(), even_if_superseded
        keys = tuple(bodies) if keys is None and mended is not None else keys
        return self._plans.make(
            action, by=by, wanted=wanted, keys=keys, mended=bodies, even_if_superseded=even
        )

    async def plan_of(self, id_: str) -> Plan | None:
        """A plan as it is now."""
        return self._plans.of(id_)

    async def run(self, plan_id: str, options: RunOptions, *, by: str) -> OperationRow:
        """Carry a plan out, once; the same operation whoever asks again, at whatever time."""
        if not self._plans.is_started(plan_id):
            self._reachable()
        return self._operation(await self._plans.run(plan_id, options, by=by))

    async def go_on(self, operation_id: str, *, by: str) -> Plan:
        """A plan of what an operation that was cut short has left."""
        self._reachable()
        await self._letters.known()
        return self._plans.go_on(operation_id, by=by)

    async def stop(self, operation_id: str, *, by: str) -> OperationRow:  # noqa: ARG002 (for a log)
        """Have an operation send no more; it is as it was when it is over already."""
        self._plans.stop(operation_id)
        return self._operation(operation_id)

    async def operation(self, id_: str) -> OperationRow | None:
        """One operation as it is now; of one cut short a look tells how far it came."""
        row = self._log.row(id_)
        if row is not None and row.can_go_on and row.left is None:
            self._letters.need(row.at)
        return row

    async def operations(self, cursor: str | None = None, limit: int = 50) -> Page[OperationRow]:
        """What operators did, the newest first."""
        return self._log.page(cursor, limit)

    # Events

    async def events(
        self, filter_: EventFilter, cursor: str | None = None, limit: int = 100
    ) -> Page[EventRow]:
        """Events, the newest first; of what is known by now."""
        return self._events.page(filter_, cursor, limit)

    async def job(self, job_id: int) -> JobTimeline:
        """What is known of a job."""
        self._letters.need()
        letters = tuple(self._index.of_job(job_id))
        touched = {row.id: row for each in letters for row in self._log.of_letter(each.event_id)}
        events = self._of_job(job_id)
        for event in events:
            touched |= {row.id: row for row in self._log.of_letter(event.id)}
        accounts = self.picture().accounts
        return JobTimeline(
            job_id=job_id,
            events=events,
            letters=letters,
            operations=tuple(sorted(touched.values(), key=lambda row: row.at)),
            journal=self._events.state(),
            waiting=tuple(
                (one.name, one.waiting, one.seconds_left) for one in accounts if one.waiting
            ),
        )

    async def search(self, text: str) -> SearchResult:
        """What a text other than a job's number may mean: account, message id, event's id."""
        self._letters.need()
        text = text.strip()
        return SearchResult(
            accounts=(text,) if text in self._live.accounts() else (),
            letters=tuple(self._index.of_message(text)),
            events=self._events.page(EventFilter(message_id=text), limit=SHOWN).rows,
        )

    # Accounts

    async def pause(
        self, account: str, *, by: str, why: str, until: datetime | None = None
    ) -> tuple[str, ...]:
        """Pause an account; the replicas that have taken it."""
        return await self._ordered("pause", account, by, why, until)

    async def resume(self, account: str, *, by: str, why: str | None = None) -> tuple[str, ...]:
        """Resume an account; the replicas that have taken it."""
        return await self._ordered("resume", account, by, why, None)

    async def heeded_by(self, account: str) -> tuple[str, ...] | None:
        """The replicas that heed what was last wanted of an account; None if nothing ever was.

        There are none while another one may be calling, or while none is heard.
        """
        entry = self._live.pauses.last(account)
        if entry is None:
            return None
        said = self._live.fleet.of(account, self._live.now)
        heeding = {name: lane for name, lane in said if lane.control == entry.id}
        is_sure = any(lane.serving for lane in heeding.values()) or len(heeding) == len(said)
        return tuple(sorted(heeding)) if is_sure else ()

    async def check(self) -> tuple[CheckRow, ...]:
        """What `taskedit doctor` says of RabbitMQ; the API is for a worker's machine to reach."""
        async with doctor.reached(self._settings) as (session, away):
            found = [*away]
            if session is not None:
                found += [each async for each in doctor.examined(session, self._settings)]
        return tuple(
            CheckRow(each.name, _RESULTS.get(each.health, "unverified"), each.says, each.mend)
            for each in found
        )

    async def _ordered(
        self,
        action: Literal["pause", "resume"],
        account: str,
        by: str,
        why: str | None,
        until: datetime | None,
    ) -> tuple[str, ...]:
        self._reachable()
        if account not in {one.name for one in self.picture().accounts}:
            raise RefusedError("no_account", account=account)
        try:
            async with connected(self._broker, asyncio.Event()) as session:
                done = await ordered(
                    session, action, account, actor=by, via="console", why=why, until=until
                )
        except SessionError as error:
            raise UnavailableError(error.failure.why) from None
        self._changes.touch("fleet", "operations")
        return tuple(done.replicas)

    def _reachable(self) -> None:
        state = self._live.state
        if not state.is_up:
            raise UnavailableError(state.why or "", state.since)

    def _operation(self, operation_id: str) -> OperationRow:
        row = self._log.row(operation_id)
        if row is None:
            raise RefusedError("no_operation")
        return row

    def _of_job(self, job: int) -> tuple[EventRow, ...]:
        return tuple(reversed(self._events.page(EventFilter(job=job), limit=SHOWN).rows))
