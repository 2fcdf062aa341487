from __future__ import annotations

import asyncio
import gc
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from schemas import Names, OperationRecord
from tests.unit.builders import NOW, delivery, properties
from tests.unit.console.dead import numbered
from tests.unit.deadletters.dead import DONE, ended
from tests.unit.schemas.builders import body, edit
from worker.amqp.session import Broker
from worker.console.changes import Changes
from worker.console.event_index import EventIndex
from worker.console.letter_index import LetterIndex
from worker.console.letters import Letters
from worker.console.live import Live
from worker.console.model import LetterFilter, Plan, RefusedError, RunOptions, UnavailableError
from worker.console.operation_log import OperationLog
from worker.console.plans import Plans
from worker.console.store import TOGETHER, opened
from worker.deadletters.plan import RedriveAction
from worker.settings import Settings, load

LONG_AGO = datetime.now(UTC) - timedelta(minutes=5)
BROKER = Broker(("amqp://nowhere.invalid",), timedelta(seconds=5), Names("task-edit"), "test")


class Stage:
    """Plans of a console that has looked at some letters; no RabbitMQ is asked."""

    def __init__(self, letters: int, broker: Broker = BROKER) -> None:
        settings = load({}, accounts_wanted=False, secrets_wanted=False)
        assert isinstance(settings, Settings)
        database, changes = opened(), Changes()
        self.events = EventIndex(database)
        self.index = LetterIndex(database)
        self.log = OperationLog(database)
        live = Live(broker, self.events, self.index, self.log, changes)
        self.letters = Letters(broker, self.index, live, self.log, changes)
        self.plans = Plans(broker, settings, live, self.letters, self.events, self.log, changes)
        self.each = [numbered(number) for number in range(letters)]
        self.index.begin_look()
        self.index.see([one.dead for one in self.each])
        self.index.end_look(complete=True)
        self.letters.looked_at = datetime.now(UTC)
        for place, one in enumerate(self.each):
            self.events.add(place, one.event)
        self.events.is_complete = True

    def cut_short(self, count: int, ids: tuple[str, ...], **what: str) -> None:
        """An operation that began and never ended."""
        record = OperationRecord(
            id="op-1",
            phase="begun",
            at=LONG_AGO,
            actor="Li Wei",
            via="console",
            action="discard",
            filter=what,
            count=count,
            ids=ids,
        )
        self.log.add(record, vouched=False)
        self.log.see_lock(is_locked=False)

    async def prepared(self, plan: Plan) -> Plan:
        """The plan once it is ready."""
        found: Plan | None = plan
        while found and found.state == "preparing":
            await asyncio.sleep(0.01)
            found = self.plans.of(plan.id)
        assert found is not None
        return found


@pytest.mark.parametrize(("count", "recorded"), [(1001, 1000), (1, 0)])
def test_nothing_goes_on_when_the_record_does_not_say_with_what(count: int, recorded: int) -> None:
    async def work() -> None:
        on = Stage(1200)
        on.cut_short(count, tuple(on.index.keys(LetterFilter())[:recorded]))
        with pytest.raises(RefusedError, match="rest_unknown"):
            on.plans.go_on("op-1", by="Ann")

    asyncio.run(work())


def test_with_a_moment_in_its_filter_what_died_later_is_not_gone_on_with() -> None:
    async def work() -> None:
        on = Stage(1200)
        died = on.index.page(LetterFilter()).rows[9].dead_at
        assert died is not None
        on.cut_short(1100, (), died_before=died.isoformat())
        plan = await on.prepared(on.plans.go_on("op-1", by="Ann"))
        assert (plan.state, plan.total) == ("ready", 10)

    asyncio.run(work())


def test_no_keys_at_all_are_not_all_letters() -> None:
    async def work() -> None:
        on = Stage(3)
        with pytest.raises(RefusedError, match="nothing_to_do"):
            on.plans.make("discard", by="Ann", wanted=LetterFilter(), keys=())

    asyncio.run(work())


def test_what_is_listed_as_sent_is_sent() -> None:
    async def work() -> None:
        on = Stage(3)
        newer = delivery(body(edit(jobId=1)), properties=properties(message_id="newer"))
        on.events.add(50, ended(newer, DONE, received=NOW + timedelta(hours=1)).event)
        plan = await on.prepared(on.plans.make("redrive", by="Ann", wanted=LetterFilter()))
        assert [one.row.message_id for one in plan.stays] == ["n-0"]
        assert [row.message_id for row in plan.rows] == ["n-1", "n-2"]

    asyncio.run(work())


def test_a_bug_before_the_beginning_is_told_each_time_that_it_is_tried() -> None:
    async def work() -> None:
        on = Stage(3, replace(BROKER, urls=("no address at all",)))
        plan = await on.prepared(on.plans.make("redrive", by="Ann", wanted=LetterFilter()))
        for _ in range(2):
            async with asyncio.timeout(30):
                with pytest.raises(IndexError):
                    await on.plans.run(plan.id, RunOptions(), by="Ann")

    asyncio.run(work())


def test_a_plan_that_a_bug_ends_is_made_no_more() -> None:
    async def work() -> None:
        on = Stage(3)
        wanted = LetterFilter(account=object())  # type: ignore[arg-type]
        plan = await on.prepared(on.plans.make("redrive", by="Ann", wanted=wanted))
        assert plan.state == "failed"
        assert plan.why_failed

    asyncio.run(work())


def test_others_have_their_turn_while_a_large_plan_is_made() -> None:
    async def work() -> None:
        on = Stage(10 * TOGETHER)
        plan, turns = on.plans.make("redrive", by="Ann", wanted=LetterFilter()), 0
        while (found := on.plans.of(plan.id)) and found.state == "preparing":
            turns += 1
            await asyncio.sleep(0)
        assert found is not None
        assert found.sends == 10 * TOGETHER
        assert turns > 3 * 10, "for the letters, their history, and their newest copies"

    asyncio.run(work())


def alive(kind: type[object]) -> int:
    """How many of a kind are still held by anything."""
    gc.collect()
    return sum(isinstance(each, kind) for each in gc.get_objects())


def test_of_a_plan_that_has_expired_only_what_its_page_shows_is_held() -> None:
    async def work() -> None:
        on = Stage(7)
        on.plans.valid_for = timedelta()
        before = alive(RedriveAction)
        plan = await on.prepared(on.plans.make("redrive", by="Ann", wanted=LetterFilter()))
        assert (plan.state, plan.total) == ("expired", 7)
        assert alive(RedriveAction) == before

    asyncio.run(work())


def test_a_plan_that_expires_while_it_starts_keeps_its_letters() -> None:
    async def work() -> None:
        reached, silent = asyncio.Event(), asyncio.Event()

        async def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            reached.set()
            await silent.wait()
            writer.close()

        async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            on = Stage(3, replace(BROKER, urls=(f"amqp://127.0.0.1:{port}",)))
            on.plans.valid_for = timedelta(seconds=2)
            before = alive(RedriveAction)
            plan = await on.prepared(on.plans.make("redrive", by="Ann", wanted=LetterFilter()))
            running = asyncio.create_task(on.plans.run(plan.id, RunOptions(), by="Ann"))
            async with asyncio.timeout(30):
                await reached.wait()
                while datetime.now(UTC) < plan.expires_at:  # noqa: ASYNC110 (no event of ours)
                    await asyncio.sleep(0.01)
            found = on.plans.of(plan.id)
            assert found is not None
            assert (found.state, alive(RedriveAction) - before) == ("ready", 3)
            silent.set()
            with pytest.raises(UnavailableError):
                await running
            found = on.plans.of(plan.id)
            assert found is not None
            assert found.state == "expired", "nothing has begun"

    asyncio.run(work())


def test_a_mended_letter_that_would_be_rejected_is_refused_by_its_field() -> None:
    async def work() -> None:
        on = Stage(1)
        key = on.each[0].letter.event_id
        for bad, field in ((body(edit(robotCount=0)), "robotCount"), (b"{", "body")):
            plan = await on.prepared(
                on.plans.make(
                    "mend", by="Li", wanted=LetterFilter(), keys=(key,), mended={key: bad}
                )
            )
            with pytest.raises(RefusedError, match="invalid") as refused:
                await on.plans.run(plan.id, RunOptions(), by="Li")
            assert refused.value.facts["field"] == field
            assert refused.value.facts["problem"]

    asyncio.run(work())
