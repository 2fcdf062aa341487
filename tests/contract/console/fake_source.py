"""Everything that the console may have to show, kept in memory: stands in for `data.Console`."""

from __future__ import annotations

import asyncio
import difflib
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from schemas import Bounds, Invalid, Malformed, Paused, read, validate
from worker.console.model import (
    Account,
    BrokerState,
    CheckRow,
    EventRow,
    Group,
    JobTimeline,
    JournalState,
    LetterDetail,
    LetterFilter,
    LetterRow,
    LettersState,
    MendCheck,
    OperationRow,
    Page,
    Picture,
    Plan,
    RefusedError,
    Replica,
    SearchResult,
    Trouble,
    UnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

    from worker.console.model import EventFilter, GroupedBy, Part, PlanAction, PlanState, RunOptions

BAD_BODY = b'{"jobId": 123, "appId": "globex-app", "redialTimes": 9}'
_VALUES = {"cause": "cause", "account": "account", "app": "app_id"}


def letter(number: int, **changes: object) -> LetterRow:
    """A letter of globex with a bad field."""
    row = LetterRow(
        key=f"{number:032x}",
        cause="c0ffee",
        reason="invalid",
        status="",
        fields=("redialTimes",),
        detail="redialTimes is 9: it must be 1 to 3.",
        account="globex",
        app_id="globex-app",
        job_id=123,
        message_id=f"order-{number}",
        event_id=f"e-{number}",
        dead_at=datetime.now(UTC) - timedelta(minutes=50 - number % 50),
        redrives=0,
        attempts="0",
        size=len(BAD_BODY),
    )
    return replace(row, **changes)  # type: ignore[arg-type]


def event(number: int, **changes: object) -> EventRow:
    """An applied event of acme."""
    now = datetime.now(UTC)
    row = EventRow(
        id=f"e-{number}",
        at=now - timedelta(seconds=number),
        outcome="applied",
        account="acme",
        app_id="acme-app",
        job_id=123,
        message_id=f"order-{number}",
        correlation_id=None,
        reason=None,
        status="0",
        api_reason="success",
        detail=None,
        fields=(),
        attempts=1,
        superseded_by=None,
        received_at=now - timedelta(seconds=number + 1),
    )
    return replace(row, **changes)  # type: ignore[arg-type]


class FakeSource:
    """A fleet of three accounts, one suspended, one paused, and three hundred dead letters."""

    def __init__(self) -> None:
        now = datetime.now(UTC)
        self.is_up = True
        self.is_heard = True
        self.is_looked_at = True
        self.heeded: tuple[str, ...] | None = ("w-1",)
        self.at_it: OperationRow | None = None
        self.watchers = self.pictures = 0
        self.asked: list[tuple[object, ...]] = []
        """What changed anything, and by whom."""
        self.accounts = {
            "acme": Account(
                "acme",
                "suspended",
                why="balance exhausted",
                api_status="-3",
                since=now - timedelta(minutes=31),
                until=now + timedelta(seconds=22),
                limits="20/s",
                rate_allowed=20.0,
                used_lately=(*(12.5,) * 15, *(0.0,) * 15),
                waiting=1204,
                dead=12,
                last_success=now - timedelta(minutes=31),
                replica="w-1",
                statuses=(("-3", 31), ("0", 7)),
            ),
            "globex": Account(
                "globex",
                "running",
                limits="10/s,600/m",
                rate_allowed=10.0,
                rate_used=9.8,
                used_lately=tuple(8 + n % 3 for n in range(30)),
                waiting=88,
                seconds_left=8.8,
                dead=300,
                last_success=now - timedelta(seconds=1),
                replica="w-2",
                statuses=(("0", 8123),),
                rejections=(
                    event(9, outcome="rejected", reason="invalid", account="globex", status=None),
                ),
            ),
            "zeta": Account(
                "zeta",
                "paused",
                paused=Paused(by="Li Wei", why="INC-4711", since=now, until=None),
                limits="10/s",
                rate_allowed=10.0,
                waiting=410,
                dead=0,
                replica="w-2",
            ),
        }
        self.replicas: tuple[Replica, ...] = (
            Replica("w-1", "0.1.0", ("acme",), ("globex", "zeta"), now, False, True),
            Replica("w-2", "0.1.0", ("globex", "zeta"), ("acme",), now, True, True),
        )
        self.troubles: tuple[Trouble, ...] = (
            Trouble(
                "suspended",
                account="acme",
                since=now - timedelta(minutes=31),
                facts={
                    "api_status": "-3",
                    "why": "balance exhausted",
                    "waiting": 1204,
                    "until": now + timedelta(seconds=22),
                },
            ),
            Trouble(
                "rejections",
                account="globex",
                facts={
                    "cause": "c0ffee",
                    "reason": "invalid",
                    "status": "",
                    "fields": ("redialTimes",),
                    "count": 300,
                },
            ),
            Trouble("paused", account="zeta", since=now, facts={"by": "Li Wei", "why": "INC"}),
            Trouble("replica_silent", replica="w-2", since=now),
        )
        self.rows = {row.key: row for row in (letter(number) for number in range(300))}
        self.bodies = dict.fromkeys(self.rows, BAD_BODY)
        self.headers: tuple[tuple[str, str], ...] = (("taskedit-reason", "invalid"),)
        self.known_events = [event(number) for number in range(60)]
        self.is_complete = False
        self.plans: dict[str, Plan] = {}
        self.plans_state: PlanState = "ready"
        self.known_operations: dict[str, OperationRow] = {}
        self.operate("op-0", "redrive", by="Li Wei", count=300, state="interrupted", done=120)
        self._changed = asyncio.Event()

    def operate(self, id_: str, action: str, *, by: str, **changes: object) -> OperationRow:
        """Add an operation to the log."""
        now = datetime.now(UTC)
        row = OperationRow(
            id=id_,
            at=now,
            actor=by,
            user=None,
            via="console",
            action=action,
            filter={"account": "globex"},
            count=None,
            ids=(),
            why="INC-4711",
            ended=None,
            result={"sent": 120},
            state="running",
            left=180,
        )
        row = replace(row, **changes)  # type: ignore[arg-type]
        row = replace(row, can_go_on=row.state == "interrupted", is_ours=row.state == "running")
        self.known_operations = {id_: row, **self.known_operations}
        return row

    # What is known

    def picture(self) -> Picture:
        self.pictures += 1
        now = datetime.now(UTC)
        broker = BrokerState(
            is_up=self.is_up,
            since=now - timedelta(seconds=9),
            heard_at=now,
            why=None if self.is_up else "rabbit-1: refused",
        )
        return Picture(
            now,
            broker,
            tuple(self.accounts.values()),
            self.replicas,
            self.troubles,
            LettersState(
                looked_at=now if self.is_looked_at else None,
                total=len(self.rows),
                operation=self.at_it,
            ),
            JournalState(now - timedelta(days=6), now, self.is_complete, 60),
            self.is_heard,
        )

    async def changes(self) -> AsyncIterator[frozenset[Part]]:
        while True:
            await self._changed.wait()
            self._changed.clear()
            yield frozenset(("fleet", "dead"))

    def touch(self) -> None:
        """Something has changed."""
        self._changed.set()

    @contextmanager
    def watched(self) -> Iterator[None]:
        self.watchers += 1
        yield
        self.watchers -= 1

    async def account(self, name: str) -> Account | None:
        return self.accounts.get(name)

    async def groups(self, by: GroupedBy, filter_: LetterFilter) -> Sequence[Group]:
        grouped: dict[str, list[LetterRow]] = {}
        for row in self._of(filter_):
            value = _hour(row) if by == "hour" else getattr(row, _VALUES[by])
            grouped.setdefault(value or "", []).append(row)
        return [
            Group(
                by,
                id_,
                len(rows),
                min((row.dead_at for row in rows if row.dead_at), default=None),
                max((row.dead_at for row in rows if row.dead_at), default=None),
                tuple(sorted({row.account or "" for row in rows})),
                *((rows[0].reason, rows[0].status, rows[0].fields, rows[0].detail)),
            )
            for id_, rows in grouped.items()
        ]

    async def letters(
        self, filter_: LetterFilter, cursor: str | None = None, limit: int = 50
    ) -> Page[LetterRow]:
        rows = self._of(filter_)
        start = int(cursor) if cursor and cursor.isdecimal() else 0
        end = start + limit
        return Page(tuple(rows[start:end]), str(end) if end < len(rows) else None, len(rows))

    async def letter(self, key: str) -> LetterDetail | None:
        row = self.rows.get(key)
        if row is None:
            return None
        body = self.bodies[key]
        return LetterDetail(
            row=row,
            body=body,
            content_type="application/json",
            properties=(("message_id", row.message_id or ""),),
            headers=self.headers,
            received_at=row.dead_at,
            check=_checked(body, body),
            eligible="redrivable",
            superseded_by=None,
            superseded_at=None,
            events=tuple(self.known_events[:3]),
            sent_again=tuple(self.known_operations.values())[:1],
        )

    async def check_mend(self, key: str, text: str) -> MendCheck:
        return _checked(text.encode(errors="replace"), self.bodies[key])

    async def plan_of(self, id_: str) -> Plan | None:
        return self.plans.get(id_)

    async def operation(self, id_: str) -> OperationRow | None:
        return self.known_operations.get(id_)

    async def operations(self, cursor: str | None = None, limit: int = 50) -> Page[OperationRow]:
        del cursor
        return Page(tuple(self.known_operations.values())[:limit], None)

    async def job(self, job_id: int) -> JobTimeline:
        return JobTimeline(
            job_id,
            tuple(one for one in self.known_events if one.job_id == job_id),
            tuple(row for row in self.rows.values() if row.job_id == job_id)[:5],
            tuple(self.known_operations.values()),
            self.picture().journal,
            (("acme", 1204, 60.2),),
        )

    async def events(
        self, filter_: EventFilter, cursor: str | None = None, limit: int = 50
    ) -> Page[EventRow]:
        del cursor
        found = [
            one
            for one in self.known_events
            if filter_.account in {None, one.account} and filter_.outcome in {None, one.outcome}
        ]
        return Page(tuple(found[:limit]), None)

    async def search(self, text: str) -> SearchResult:
        dead = {row.account for row in self.rows.values()}
        return SearchResult(
            accounts=(text,) if text in {*self.accounts, *dead} else (),
            letters=tuple(row for row in self.rows.values() if row.message_id == text),
            events=tuple(one for one in self.known_events if one.message_id == text),
        )

    async def check(self) -> Sequence[CheckRow]:
        return [
            CheckRow("RabbitMQ", "good", "3.10.8 answers"),
            CheckRow("task-edit.dead", "bad", "its arguments differ", "taskedit topology show"),
            CheckRow("policies", "unverified", "no management URL is set"),
        ]

    # What can be done

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
        self._needs_broker()
        del even_if_superseded
        keys = tuple(mended) if keys is None and mended is not None else keys
        meant = self._of(filter_ or LetterFilter())
        rows = meant if keys is None else [self.rows[key] for key in keys]
        if not rows:
            raise RefusedError("nothing_to_do")
        checks = [(row, _checked(self.bodies[row.key], b"")) for row in rows]
        bad = () if mended else tuple(one for one in checks if not one[1].is_good)
        now = datetime.now(UTC)
        plan = Plan(
            id=f"plan-{len(self.plans)}",
            action=action,
            filter=filter_ or LetterFilter(),
            state=self.plans_state,
            at=now,
            expires_at=now + timedelta(minutes=10),
            by=by,
            total=len(rows),
            sends=0 if action == "discard" else len(rows),
            rejected_again=bad[:100] if action == "redrive" else (),
            rejected_again_count=len(bad) if action == "redrive" else 0,
            rows=tuple(rows[:100]),
            stopped_accounts=(("acme", "suspended"),),
        )
        self.plans[plan.id] = plan
        self.asked.append((action, by, tuple(row.key for row in rows), dict(mended or {})))
        return plan

    async def run(self, plan_id: str, options: RunOptions, *, by: str) -> OperationRow:
        self._needs_broker()
        plan = self.plans.get(plan_id)
        if plan is None:
            raise RefusedError("plan_unknown")
        if plan.operation is not None:
            return self.known_operations[plan.operation]
        row = self.operate(
            f"op-{len(self.known_operations)}", plan.action, by=by, count=plan.total, done=5
        )
        self.plans[plan_id] = replace(plan, operation=row.id, state="used")
        self.asked.append(("run", by, plan_id, options))
        return row

    async def go_on(self, operation_id: str, *, by: str) -> Plan:
        operation = self.known_operations[operation_id]
        if not operation.can_go_on:
            raise RefusedError("not_interrupted")
        return await self.plan("redrive", by=by)

    async def stop(self, operation_id: str, *, by: str) -> OperationRow:
        self._needs_broker()
        self.asked.append(("stop", by, operation_id))
        row = replace(self.known_operations[operation_id], state="stopped", is_ours=False)
        self.known_operations[operation_id] = row
        return row

    async def pause(
        self, account: str, *, by: str, why: str, until: datetime | None
    ) -> Sequence[str]:
        self._needs_broker()
        if account not in self.accounts:
            raise RefusedError("no_account")
        self.asked.append(("pause", by, account, why, until))
        pause = Paused(by=by, why=why, since=datetime.now(UTC), until=until)
        self.accounts[account] = replace(self.accounts[account], state="paused", paused=pause)
        return ["w-1"]

    async def heeded_by(self, account: str) -> tuple[str, ...] | None:
        del account
        return self.heeded

    async def resume(self, account: str, *, by: str, why: str | None) -> Sequence[str]:
        self._needs_broker()
        self.asked.append(("resume", by, account, why))
        self.accounts[account] = replace(self.accounts[account], state="running", paused=None)
        return ["w-1"]

    def _needs_broker(self) -> None:
        if not self.is_up:
            raise UnavailableError("rabbit-1: refused", datetime.now(UTC))

    def _of(self, filter_: LetterFilter) -> list[LetterRow]:
        if not self.is_looked_at:
            return []

        def is_meant(row: LetterRow) -> bool:
            return (
                filter_.cause in {None, row.cause}
                and filter_.account in {None, row.account}
                and filter_.app in {None, row.app_id or ""}
                and filter_.hour in {None, _hour(row)}
                and filter_.reason in {None, row.reason}
                and filter_.job in {None, row.job_id}
                and filter_.message_id in {None, row.message_id}
            )

        return [row for row in self.rows.values() if is_meant(row)]


def _hour(row: LetterRow) -> str:
    return "" if row.dead_at is None else row.dead_at.strftime("%Y-%m-%dT%H")


def _checked(body: bytes, before: bytes) -> MendCheck:
    """As the worker would say."""
    old, new = (one.decode(errors="replace").splitlines() for one in (before, body))
    difference = tuple(difflib.unified_diff(old, new, n=1, lineterm=""))[2:]
    found = read(body)
    if isinstance(found, Malformed):
        return MendCheck(found.detail, (), difference)
    edit = validate(found, Bounds())
    if isinstance(edit, Invalid):
        fields = tuple((one.field, one.problem) for one in edit.problems)
        return MendCheck("; ".join(" ".join(one) for one in fields), fields, difference)
    return MendCheck(None, (), difference)
