"""Plans: what is going to become of letters, frozen by their keys, and carried out once.

A plan is prepared in the background, shown, and run at most once: whoever runs it again gets the
same operation. Exactly its letters are touched, for they are found again in the queue by what they
are; what is gone by then is counted, what is new is not looked at.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from difflib import unified_diff
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from worker.amqp.session import FailureKind, SessionError, connected
from worker.console.letters import holder
from worker.console.model import (
    LetterFilter,
    MendCheck,
    OperationRow,
    Plan,
    RefusedError,
    Staying,
    UnavailableError,
)
from worker.console.operation_log import GOES_ON_IN, Running
from worker.console.store import in_turns
from worker.core.rate_limit import rates
from worker.deadletters.canary import Step
from worker.deadletters.history import JobHistory, read_history
from worker.deadletters.mend import bounds_for, laid_out, problems
from worker.deadletters.plan import message, planned
from worker.deadletters.queue import discard, locked
from worker.deadletters.redrive import RedriveOptions, RedriveProgress, redrive
from worker.fleet.operations import RECORD_TYPE, begun, recorded, write

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence

    from schemas import OperationRecord
    from worker.amqp.session import Broker, Session
    from worker.console.changes import Changes
    from worker.console.event_index import EventIndex
    from worker.console.letter_index import Kept
    from worker.console.letters import Letters
    from worker.console.live import Live
    from worker.console.model import PlanAction, RunOptions
    from worker.console.operation_log import OperationLog
    from worker.core.message import Delivery
    from worker.deadletters.letter import Letter
    from worker.deadletters.plan import Message, RedriveAction
    from worker.settings import Settings

VALID_FOR: Final = timedelta(minutes=10)
KEPT_FOR: Final = timedelta(hours=1)
"""A plan can be asked for after it has expired, or was run."""
SHOWN: Final = 100
PATIENCE: Final = 60.0
TELLS_EVERY: Final = 1.0
"""Seconds between two signs of how far an operation is."""
STOPPED_STATES: Final = frozenset(("suspended", "paused", "unserved"))


@dataclass(slots=True)
class _Planned:
    """A plan, with what only running it needs."""

    plan: Plan
    actions: tuple[RedriveAction, ...] = ()
    """Empty for a discard."""
    keys: dict[bytes, str] = field(default_factory=dict)
    """Of each letter that is touched: its key in the index, by what it is in the queue."""
    ids: tuple[str, ...] = ()
    """Event ids of those."""
    goes_on: OperationRow | None = None
    started: asyncio.Task[str] | None = None
    preparing: asyncio.Task[None] | None = None

    def over(self) -> None:
        """It is run no more: what only that needs is forgotten, mended bodies among it."""
        self.actions, self.keys, self.ids = (), {}, ()


class Plans:
    """Every plan of the last hour."""

    def __init__(
        self,
        broker: Broker,
        settings: Settings,
        live: Live,
        letters: Letters,
        events: EventIndex,
        operations: OperationLog,
        changes: Changes,
    ) -> None:
        self._events = events
        self._broker = broker
        self._settings = settings
        self._live = live
        self._letters = letters
        self._operations = operations
        self._changes = changes
        self.valid_for = VALID_FOR
        self._plans: dict[str, _Planned] = {}
        self._stops: dict[str, asyncio.Event] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    # Made

    def make(
        self,
        action: PlanAction,
        *,
        by: str,
        wanted: LetterFilter,
        keys: Sequence[str] | None = None,
        mended: Mapping[str, bytes] | None = None,
        even_if_superseded: bool = False,
        goes_on: OperationRow | None = None,
    ) -> Plan:
        """A plan for the letters with these keys, or all that are meant; prepared from now on.

        Without `keys` they are all that are `wanted`; with no key in them there is nothing to do.
        """
        if keys is not None and not keys:
            raise RefusedError("nothing_to_do")
        now = datetime.now(UTC)
        self._forget(now)
        plan = Plan(uuid4().hex, action, wanted, "preparing", now, now + self.valid_for, by)
        one = self._plans[plan.id] = _Planned(plan, goes_on=goes_on)
        preparing = self._prepare(one, keys, dict(mended or {}), even=even_if_superseded)
        one.preparing = asyncio.create_task(preparing)
        return plan

    def of(self, plan_id: str) -> Plan | None:
        """The plan as it is now."""
        one = self._plans.get(plan_id)
        if one is None:
            return None
        is_late = datetime.now(UTC) >= one.plan.expires_at
        if one.plan.state == "ready" and one.started is None and is_late:
            one.plan = replace(one.plan, state="expired")
            one.over()
        return one.plan

    async def _prepare(
        self, one: _Planned, keys: Sequence[str] | None, mended: dict[str, bytes], *, even: bool
    ) -> None:
        try:
            await self._letters.known()
            if keys is None:
                wanted = one.plan.filter
                keys = self._letters.index.keys(wanted)
                until = wanted.died_before or one.plan.at.isoformat()
                one.plan = replace(one.plan, filter=replace(wanted, died_before=until))
            await self._fill(one, keys, mended, even=even)
        except RefusedError as error:
            why = str(error.facts.get("by") or error.kind)
            one.plan = replace(one.plan, state="failed", why_failed=why)
        except (UnavailableError, SessionError) as error:
            one.plan = replace(one.plan, state="failed", why_failed=str(error))
        except Exception as error:  # a bug: the page that waits for the plan says so
            one.plan = replace(one.plan, state="failed", why_failed=type(error).__name__)
            raise

    async def _fill(
        self, one: _Planned, keys: Sequence[str], mended: dict[str, bytes], *, even: bool
    ) -> None:
        """Find out what is to become of each letter."""
        letters: dict[bytes, Letter] = {}
        bad: list[tuple[str, MendCheck]] = []
        bodies: dict[bytes, bytes] = {}
        async with aclosing(self._contents(keys)) as contents:
            async for kept in contents:
                letter, key = kept.letter, kept.row.key
                letters[letter.key], one.keys[letter.key] = letter, key
                check = checked(letter, kept.delivery, self._settings, mended.get(key))
                if key in mended:
                    bodies[letter.key] = mended[key]
                if not check.is_good:
                    bad.append((key, check))
        index, plan = self._letters.index, one.plan
        sends, copies, knows = len(letters), 0, True
        stays: tuple[Staying, ...] = ()
        if plan.action == "discard":
            touched = set(letters)
        else:
            history, knows = await self._history(list(letters.values()))
            newest: dict[Message, int] = {}
            async for each in in_turns({message(letter) for letter in letters.values()}):
                newest |= index.newest((each,))
            found = await asyncio.to_thread(
                planned, letters.values(), history, newest, even_if_superseded=even, mended=bodies
            )
            one.actions = found.moves
            sends, copies = found.sends, found.copies
            stays = tuple(
                Staying(row, "superseded", by.message_id, by.at)
                for letter, by in found.superseded[:SHOWN]
                for row in index.rows((one.keys[letter.key],))
            )
            touched = {each.key for each in found.moves}
        one.keys = {digest: key for digest, key in one.keys.items() if digest in touched}
        going = set(one.keys.values())
        bad = [each for each in bad if each[0] in going and plan.action != "discard"]
        # by an event's id it is found again only if no other letter goes by that
        one.ids = tuple(key for each, key in one.keys.items() if letters[each].event_id == key)
        rows = index.rows([key for key in keys if key in going][:SHOWN])
        accounts = {letters[each].account for each in touched}
        one.plan = replace(
            plan,
            state="ready",
            total=len(letters),
            sends=sends,
            copies=copies,
            stays=stays,
            stays_count=len(letters) - len(touched),
            rejected_again=tuple(
                (row, check) for key, check in bad[:SHOWN] for row in index.rows((key,))
            ),
            rejected_again_count=len(bad),
            rows=tuple(rows),
            stopped_accounts=self._stopped(accounts),
            knows_journal=knows,
        )

    async def _contents(self, keys: Sequence[str]) -> AsyncGenerator[Kept]:
        """The letters with these keys; those that are not kept are fetched by a look."""
        missing = []
        async for key in in_turns(keys):
            kept = self._letters.index.kept(key)
            if kept is None:
                missing.append(key)
            else:
                yield kept
        if missing:
            async with aclosing(self._letters.fetch(frozenset(missing))) as found:
                async for kept in found:
                    yield kept

    async def _history(self, letters: list[Letter]) -> tuple[JobHistory, bool]:
        """What the journal knows of their jobs, and whether there is a journal."""
        known = await self._events.history(letters)
        if known is not None:
            return known, True
        async with connected(self._broker, asyncio.Event()) as session:
            try:
                return await read_history(session, letters), True
            except SessionError as error:
                if error.failure.kind is not FailureKind.NO_STREAM:
                    raise
                return JobHistory.of(letters), False

    def _stopped(self, accounts: Iterable[str | None]) -> tuple[tuple[str, str], ...]:
        now, found = datetime.now(UTC), []
        for account in sorted(each for each in accounts if each):
            lanes = self._live.fleet.of(account, asyncio.get_running_loop().time())
            state = next((lane.state for _, lane in lanes if lane.serving), "unserved")
            state = "paused" if self._live.pauses.of(account, now) else state
            if state in STOPPED_STATES:
                found.append((account, state))
        return tuple(found)

    # Run

    def is_started(self, plan_id: str) -> bool:
        """Whether a plan was run, or is about to be: its operation is there, or will be."""
        one = self._plans.get(plan_id)
        return one is not None and one.started is not None

    async def run(self, plan_id: str, options: RunOptions, *, by: str) -> str:
        """Carry a plan out; the id of its operation, the same however often it is asked for.

        Returns once the beginning is recorded. Raises `RefusedError` and `UnavailableError`.
        """
        plan, one = self.of(plan_id), self._plans.get(plan_id)
        if plan is None or one is None:
            raise RefusedError("plan_unknown")
        if plan.operation is not None:
            return plan.operation
        if one.started is None:
            if plan.state != "ready":
                raise RefusedError("plan_expired" if plan.state == "expired" else "plan_not_ready")
            if not one.keys:
                raise RefusedError("nothing_to_do")
            if plan.action == "mend" and plan.rejected_again_count:
                check = plan.rejected_again[0][1]
                field_, problem = (*check.problems, ("body", check.detail))[0]
                raise RefusedError("invalid", field=field_, problem=problem)
            one.started = asyncio.create_task(self._start(one, options, by))
        try:
            return await asyncio.shield(one.started)
        except Exception:
            one.started = None  # nothing has begun, so it can be tried again
            raise

    def stop(self, operation: str) -> None:
        """Send no more; what is under way is confirmed first. One that is over stays as it is."""
        row = self._operations.row(operation)
        if row is None:
            raise RefusedError("no_operation")
        if row.is_ours:
            self._stops[operation].set()
        elif row.state in {"running", "unknown"}:
            raise RefusedError("not_ours")

    def go_on(self, operation: str, *, by: str) -> Plan:
        """A plan for what an operation that was cut short has left."""
        row = self._operations.row(operation)
        if row is None:
            raise RefusedError("no_operation")
        if not row.can_go_on:
            raise RefusedError("not_interrupted")
        known = {each.name for each in fields(LetterFilter)}
        told = {name: value for name, value in row.filter.items() if name in known}
        keys: tuple[str, ...] | None = None
        if row.count is not None and row.count <= len(row.ids):
            keys = tuple(each.key for each in self._letters.index.rows(row.ids))
            if not keys:
                raise RefusedError("gone")
        elif row.via != "console" or "died_before" not in told:
            raise RefusedError("rest_unknown")  # its filter does not say which letters it had
        action: PlanAction = "discard" if row.action == "discard" else "redrive"
        wanted = LetterFilter(**told)  # type: ignore[arg-type]
        return self.make(action, by=by, wanted=wanted, keys=keys, goes_on=row)

    async def _start(self, one: _Planned, options: RunOptions, by: str) -> str:
        begins: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        record = begun(
            one.plan.action,
            what=one.plan.filter.told() | _continued(one.goes_on),
            why=options.why,
            count=len(one.keys),
            ids=one.ids,
            actor=by,
            via="console",
        )
        how = _options(options, self._settings)
        task = asyncio.create_task(self._carry_out(one, record, how, begins))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        operation = await begins
        one.plan = replace(one.plan, state="used", operation=operation)
        return operation

    async def _carry_out(
        self,
        one: _Planned,
        record: OperationRecord,
        how: RedriveOptions,
        begins: asyncio.Future[str],
    ) -> None:
        """From the lock to the record of the end; whoever waits for `begins` hears of a failure."""
        stopping = asyncio.Event()
        doing = f"taskedit console: {record.action} by {record.actor}"
        progress, result = RedriveProgress(), dict[str, Any]()
        try:
            async with (
                connected(self._broker, stopping) as session,
                locked(session, doing) as queue,
                recorded(session, record) as operation,
            ):
                result = operation.result
                self._begin(record, Running(progress, len(one.keys)), stopping)
                begins.set_result(record.id)
                telling = asyncio.create_task(self._tell())
                try:
                    if one.goes_on is not None:
                        await _close(session, one.goes_on, record)
                    if one.plan.action == "discard":
                        progress.sent = await discard(queue, frozenset(one.keys))
                        progress.gone = max(0, len(one.keys) - progress.sent)
                        result |= {"discarded": progress.sent, "gone": progress.gone}
                    else:
                        await redrive(session, queue, one.actions, how, progress)
                finally:
                    telling.cancel()
                    if one.plan.action != "discard":  # of one that fails nobody knows how far it is
                        result |= progress.counts() | {"done": progress.done}
        except SessionError as error:
            if not begins.done():
                begins.set_exception(_refusal(error))
        except BaseException as error:  # a bug, which must not leave anybody waiting
            if not begins.done():
                begins.set_exception(error)
            raise
        finally:
            if begins.done() and not begins.cancelled() and not begins.exception():
                self._end(one, record, progress, result)

    async def _tell(self) -> None:
        """Have pages show how far it is, until cancelled."""
        while True:
            await asyncio.sleep(TELLS_EVERY)
            self._changes.touch("operations")

    def _begin(self, record: OperationRecord, running: Running, stopping: asyncio.Event) -> None:
        self._operations.add(record, vouched=False)
        self._operations.running[record.id] = running
        self._stops[record.id] = stopping
        self._changes.touch("operations", "dead")

    def _end(
        self,
        one: _Planned,
        record: OperationRecord,
        progress: RedriveProgress,
        result: dict[str, Any],
    ) -> None:
        """Forget the letters that are gone: those up to where it came, but for what was refused."""
        if not (progress.unroutable or progress.refused or progress.unsure):
            digests = [each.key for each in one.actions] or list(one.keys)
            gone = [one.keys[each] for each in digests[: progress.moved]]
            self._letters.index.remove(gone)
            self._live.flow += len(gone)
        one.over()
        ended = {"phase": "ended", "at": datetime.now(UTC), "result": result}
        self._operations.add(record.model_copy(update=ended), vouched=False)
        self._operations.running.pop(record.id, None)
        self._stops.pop(record.id, None)
        self._changes.touch("operations", "dead", "fleet")

    async def close(self) -> None:
        """Stop what runs, in good order, and prepare nothing more."""
        for stopping in self._stops.values():
            stopping.set()
        for one in self._plans.values():
            if one.preparing is not None:
                one.preparing.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _forget(self, now: datetime) -> None:
        for id_ in self._plans:
            self.of(id_)  # which may have expired
        self._plans = {
            id_: one
            for id_, one in self._plans.items()
            if now - one.plan.at < KEPT_FOR or one.plan.operation in self._stops
        }


def checked(
    letter: Letter, delivery: Delivery, settings: Settings, body: bytes | None = None
) -> MendCheck:
    """What the worker would say of a letter now, or of `body` in its stead."""
    found = problems(letter, delivery, bounds_for(letter, settings), body)
    detail, named = found or (None, ())
    difference: tuple[str, ...] = ()
    if body is not None:
        before, after = (laid_out(each).splitlines() for each in (delivery.body, body))
        difference = tuple(unified_diff(before, after, lineterm="", n=2))[2:]
    return MendCheck(detail, tuple((each.field, each.problem) for each in named), difference)


def _options(options: RunOptions, settings: Settings) -> RedriveOptions:
    return RedriveOptions(
        rates=rates(options.rate) if options.rate else (),
        canary=Step(options.canary, options.stop_at) if options.canary else None,
        patience=PATIENCE,
        hold=settings.hold.total_seconds(),
    )


def _continued(row: OperationRow | None) -> dict[str, str]:
    return {} if row is None else {"goes_on": row.id}


async def _close(session: Session, row: OperationRow, by: OperationRecord) -> None:
    """Record the end of an operation that was cut short: another goes on with what it left."""
    ended = by.model_copy(
        update={
            "id": row.id,
            "phase": "ended",
            "user": session.user,
            "action": row.action,
            "filter": dict(row.filter),
            "count": row.count,
            "ids": (),
            "why": row.why,
            "result": {"failed": "interrupted"} | dict(row.result or {}) | {GOES_ON_IN: by.id},
        }
    )
    await write(session, session.names.operations, RECORD_TYPE, ended)


def _refusal(error: SessionError) -> RefusedError | UnavailableError:
    if error.failure.kind is FailureKind.BUSY:
        return RefusedError("busy", by=holder(error))
    return UnavailableError(error.failure.why)
