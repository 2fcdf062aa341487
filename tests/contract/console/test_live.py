"""What the console shows follows what happens at RabbitMQ."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from schemas import ControlEntry, OperationRecord
from tests.contract.console.stage import (
    Stage,
    broker_at,
    declared,
    lane,
    prepared,
    settings,
    stage,
    told_of,
    until,
)
from tests.unit.console.dead import numbered
from worker.amqp.session import connected
from worker.console.changes import Changes
from worker.console.data import Console
from worker.console.event_index import EventIndex
from worker.console.letter_index import BODY_AT_MOST, LetterIndex
from worker.console.letters import Letters
from worker.console.live import Live
from worker.console.model import EventFilter, LetterFilter, RunOptions
from worker.console.operation_log import OperationLog
from worker.console.store import opened
from worker.core.message import Publication
from worker.deadletters.queue import locked
from worker.fleet.operations import CONTROL_TYPE, RECORD_TYPE, begun, write

if TYPE_CHECKING:
    from worker.amqp.session import Broker, Session
    from worker.core.message import Delivery

pytestmark = pytest.mark.timeout(120)
ALL = LetterFilter()
LONG_AGO = datetime.now(UTC) - timedelta(minutes=5)


@pytest.fixture
def rabbitmq(amqp_url: str, namespace: str) -> Broker:
    return broker_at(amqp_url, namespace)


def test_a_suspended_account_is_the_worst_trouble_and_gone_when_it_recovers(
    rabbitmq: Broker,
) -> None:
    async def work() -> None:
        async with stage(rabbitmq) as on:
            await on.lane()
            why = {"why": "balance exhausted", "api_status": "-3", "since": datetime.now(UTC)}
            on.serves(acme=lane("suspended", **why), globex=lane())
            await until(lambda: on.console.picture().troubles)
            [trouble] = on.console.picture().troubles
            assert (trouble.kind, trouble.account) == ("suspended", "acme")
            assert trouble.facts["api_status"] == "-3"
            on.serves(acme=lane(), globex=lane())
            await until(lambda: not on.console.picture().troubles)
            acme, globex = on.console.picture().accounts
            assert (acme.state, acme.replica, acme.rate_allowed) == ("running", "w-1", 10.0)
            assert globex.waiting is None
            await until(lambda: on.console.picture().accounts[0].waiting == 0)

    asyncio.run(work())


def test_who_took_an_account_over_from_one_that_was_killed_is_believed_at_once(
    rabbitmq: Broker,
) -> None:
    async def work() -> None:
        async with stage(rabbitmq) as on:
            await on.lane()
            await on.beats("w-1", acme=lane("suspended", why="balance exhausted"))
            await until(lambda: on.console.picture().troubles)
            await on.beats("w-2", acme=lane())
            await until(lambda: on.console.picture().accounts[0].replica == "w-2", within=10)
            assert on.console.picture().troubles == ()

    asyncio.run(work())


def test_without_a_worker_that_is_the_trouble_and_a_pause_is_known_all_the_same(
    rabbitmq: Broker,
) -> None:
    async def work() -> None:
        async with stage(rabbitmq) as on:
            await on.lane()
            entry = ControlEntry(
                id=str(uuid4()),
                action="pause",
                account="acme",
                actor="Li Wei",
                via="console",
                why="an incident",
                at=datetime.now(UTC),
            )
            await write(on.session, on.session.names.control, CONTROL_TYPE, entry)
            await until(lambda: on.console.picture().accounts)
            [acme] = on.console.picture().accounts
            assert acme.paused is not None
            assert (acme.state, acme.paused.by) == ("paused", "Li Wei")
            assert await on.console.heeded_by("acme") == (), "no worker has said so"
            await until(
                lambda: (
                    [trouble.kind for trouble in on.console.picture().troubles]
                    == ["fleet_unseen", "paused"]
                )
            )

    asyncio.run(work())


def test_a_pause_is_heeded_once_whoever_may_be_calling_says_so(rabbitmq: Broker) -> None:
    async def heeded(on: Stage, *wanted: str) -> None:
        async with asyncio.timeout(20):
            while await on.console.heeded_by("acme") != wanted:  # noqa: ASYNC110 (asks)
                await asyncio.sleep(0.05)

    async def work() -> None:
        async with stage(rabbitmq) as on:
            await on.lane()
            await on.beats("w-1", acme=lane())
            await until(lambda: on.console.picture().accounts)
            assert await on.console.heeded_by("acme") is None, "it was never paused"
            entry = ControlEntry(
                id=str(uuid4()),
                action="pause",
                account="acme",
                actor="Li Wei",
                via="cli",
                why="an incident",
                at=datetime.now(UTC),
            )
            await write(on.session, on.session.names.control, CONTROL_TYPE, entry)
            await on.beats("w-2", acme=lane("paused", serving=False, control=entry.id))
            await heeded(on)
            await on.beats("w-1", acme=lane("paused", control=entry.id))
            await heeded(on, "w-1", "w-2")

    asyncio.run(work())


def test_three_hundred_letters_are_looked_at_once_and_then_kept_true_by_events_and_operations(
    rabbitmq: Broker,
) -> None:
    async def work() -> None:
        async with stage(rabbitmq) as on:
            letters = [numbered(number) for number in range(312)]
            await on.die(letters[:300])
            assert await on.console.groups("cause", ALL) == ()
            await until(lambda: on.console.picture().letters.looked_at)
            groups = await on.console.groups("cause", ALL)
            assert [group.count for group in groups] == [100, 100, 100]

            told = asyncio.create_task(told_of("dead", on.console))
            await asyncio.sleep(0)  # it follows from now on
            await on.die(letters[300:])
            await until(lambda: on.console.picture().letters.known == 312)
            await told
            page = await on.console.letters(ALL)
            assert page.total == 312

            await on.discarded(*letters[:3])
            await until(lambda: on.console.picture().letters.known == 309)
            assert on.console.picture().letters.looks == 1
            [row] = (await on.console.operations()).rows
            assert (row.action, row.state, row.user) == ("discard", "ended", "guest")

    asyncio.run(work())


def test_an_event_that_is_published_again_is_no_new_letter(rabbitmq: Broker) -> None:
    async def work() -> None:
        async with stage(rabbitmq) as on:
            await on.die([numbered(0)])
            await on.console.groups("cause", ALL)
            await until(lambda: on.console.picture().letters.known == 1)
            await on.discarded(numbered(0))
            await until(lambda: on.console.picture().letters.known == 0)
            await on.session.publish(on.event(numbered(0)))
            await on.die([numbered(1)])
            await until(lambda: on.console.picture().letters.known == 1)
            assert [row.job_id for row in (await on.console.letters(ALL)).rows] == [2]

    asyncio.run(work())


def test_a_letter_is_opened_with_its_content_also_one_that_died_after_the_look(
    rabbitmq: Broker,
) -> None:
    async def work() -> None:
        async with stage(rabbitmq) as on:
            await on.die([numbered(0)])
            await on.console.groups("cause", ALL)
            await until(lambda: on.console.picture().letters.looked_at)
            await on.die([numbered(1)])
            await until(lambda: on.console.picture().letters.known == 2)
            for number in (0, 1):
                found = await on.console.letter(numbered(number).letter.event_id)
                assert found is not None
                assert found.body == numbered(number).dead.body
                assert ("taskedit-reason", "api_rejected") in found.headers
                assert found.check.is_good
            assert await on.console.letter("nothing of that name") is None

    asyncio.run(work())


def test_a_large_letter_is_fetched_once_to_be_read_and_checked_and_planned(
    rabbitmq: Broker,
) -> None:
    async def work() -> None:
        async with stage(rabbitmq) as on:
            small = numbered(0)
            large = replace(small.dead, body=small.dead.body + b" " * BODY_AT_MOST)
            await on.die([replace(small, dead=large)])
            await on.console.groups("cause", ALL)
            await until(lambda: on.console.picture().letters.known == 1)
            [row] = (await on.console.letters(ALL)).rows
            found = await on.console.letter(row.key)
            assert found is not None
            assert found.body == large.body
            text = small.dead.body.decode()
            assert (await on.console.check_mend(row.key, text)).is_good
            plan = await on.console.plan("mend", by="Li Wei", mended={row.key: text})
            assert (await prepared(on.console, plan)).sends == 1
            assert on.console.picture().letters.looks == 2

    asyncio.run(work())


def test_letters_are_fetched_one_by_one_while_the_queue_is_looked_at(rabbitmq: Broker) -> None:
    database, changes = opened(), Changes()
    index, log = LetterIndex(database), OperationLog(database)
    live = Live(rabbitmq, EventIndex(database), index, log, changes)
    letters = Letters(rabbitmq, index, live, log, changes)
    dead = [numbered(number) for number in (0, 1, 1, 2)]

    async def work() -> None:
        async with connected(rabbitmq, asyncio.Event()) as session:
            await declared(session)
            for one in dead:
                letter = one.dead
                put = Publication(session.names.dead, "a", letter.body, letter.properties)
                await session.publish(put)
        keys, found = [one.letter.event_id for one in dead], list[str]()
        async for kept in letters.fetch(frozenset(keys[1:])):
            found.append(kept.row.key)
            state = letters.state()
            assert (state.is_looking, state.looks, state.expected) == (True, 0, len(dead))
        assert found == [keys[1], keys[3]]
        assert (letters.state().is_looking, letters.looks) == (False, 1)

    asyncio.run(work())


def test_letters_that_somebody_holds_are_counted_all_the_same(rabbitmq: Broker) -> None:
    async def work() -> None:
        async with stage(rabbitmq) as on:
            dead = [numbered(number) for number in range(4)]
            await on.die(dead[:3])
            await on.console.groups("cause", ALL)
            await until(lambda: on.console.picture().letters.looks)
            await until(lambda: not on.console.picture().letters.is_looking)
            await until(lambda: on.console.picture().letters.total == 3)
            async with (
                connected(rabbitmq, asyncio.Event()) as other,
                locked(other, "a test") as queue,
            ):
                assert len([each async for each in queue.take()]) == 3
                await on.die(dead[3:])
                await until(lambda: on.console.picture().letters.total == 4)
            await until(lambda: on.console.picture().letters.total == 4)
            assert on.console.picture().letters.looks == 1

    asyncio.run(work())


def test_a_letter_that_says_anothers_event_id_is_never_recorded_as_the_other(
    rabbitmq: Broker,
) -> None:
    async def work() -> None:
        async with stage(rabbitmq) as on:
            first = numbered(0)
            twin = replace(first.dead, body=first.dead.body + b" ")
            await on.die([first, replace(first, dead=twin)])
            await on.console.groups("cause", ALL)
            await until(lambda: on.console.picture().letters.known == 2)
            rows = (await on.console.letters(ALL)).rows
            [other] = [row.key for row in rows if row.key != first.letter.event_id]
            plan = await on.console.plan("discard", by="Li Wei", keys=(other,))
            await prepared(on.console, plan)
            begun = await on.console.run(plan.id, RunOptions(), by="Li Wei")
            assert (begun.count, begun.ids) == (1, ())
            await until(lambda: on.console.picture().letters.known == 1)
            [left] = (await on.console.letters(ALL)).rows
            assert left.key == first.letter.event_id

    asyncio.run(work())


def test_the_journal_is_followed_and_read_back_to_its_beginning(rabbitmq: Broker) -> None:
    async def work() -> None:
        async with stage(rabbitmq) as on:
            await until(lambda: on.console.picture().journal.is_complete)
            for number in range(50):
                await on.session.publish(on.event(numbered(number)))
            await until(lambda: on.console.picture().journal.events == 50)
        async with stage(rabbitmq) as on:
            await until(lambda: on.console.picture().journal.is_complete)
            state = on.console.picture().journal
            assert (state.events, state.why) == (50, None)
            page = await on.console.events(EventFilter(), limit=100)
            assert [row.job_id for row in page.rows] == list(range(50, 0, -1))
            timeline = await on.console.job(7)
            assert [row.message_id for row in timeline.events] == ["n-6"]

    asyncio.run(work())


def record(phase: str, result: dict[str, object] | None = None) -> OperationRecord:
    return OperationRecord.model_validate(
        {
            "id": "op-1", "phase": phase, "at": datetime.now(UTC), "actor": "Li", "via": "cli",
            "action": "redrive", "count": 1, "ids": ("e",), "result": result,
        }
    )  # fmt: skip


def test_a_result_that_holds_no_numbers_is_shown_and_what_comes_after_it_is_heard(
    rabbitmq: Broker,
) -> None:
    async def work() -> None:
        async with stage(rabbitmq) as on:
            for each in (record("begun"), record("ended", {"sent": "1", "done": [2]})):
                await write(on.session, on.session.names.operations, RECORD_TYPE, each)
            await on.discarded(numbered(0))
            async with asyncio.timeout(20):
                while len((await on.console.operations()).rows) < 2:  # noqa: ASYNC110 (as `until`)
                    await asyncio.sleep(0.02)
            strange = await on.console.operation("op-1")
            assert strange is not None
            assert (strange.state, strange.done) == ("ended", 0)
            assert on.console.picture().broker.is_up

    asyncio.run(work())


def test_what_nobody_has_looked_at_is_counted_as_before_while_somebody_holds_it(
    rabbitmq: Broker,
) -> None:
    async def work() -> None:
        database, changes = opened(), Changes()
        log, index = OperationLog(database), LetterIndex(database)
        live = Live(rabbitmq, EventIndex(database), index, log, changes)
        async with stage(rabbitmq) as on:
            await on.die([numbered(number) for number in range(3)])
            following = asyncio.create_task(live.run())
            await until(lambda: live.depths.get(rabbitmq.names.dead) == 3)
            async with (
                connected(rabbitmq, asyncio.Event()) as other,
                locked(other, "a test") as queue,
            ):
                assert len([each async for each in queue.take()]) == 3
                await until(lambda: live.is_held)
                assert live.depths[rabbitmq.names.dead] == 3
            await until(lambda: not live.is_held)
            assert live.depths[rabbitmq.names.dead] == 3
            following.cancel()

    asyncio.run(work())


async def cut_short(session: Session, **changes: object) -> OperationRecord:
    """Record that something began long ago with three letters, and nothing of its end."""
    ids = tuple(numbered(number).letter.event_id for number in range(3))
    begin = begun("redrive", what={}, count=3, ids=ids)
    begin = begin.model_copy(update={"at": LONG_AGO} | changes)
    await write(session, session.names.operations, RECORD_TYPE, begin)
    return begin


@pytest.mark.parametrize("page", ["its own", "the first"])
def test_how_far_what_was_cut_short_came_is_found_out_by_whoever_asks_for_it(
    page: str, rabbitmq: Broker
) -> None:
    async def left(console: Console, operation: str) -> int | None:
        if page == "its own":
            row = await console.operation(operation)
            return None if row is None else row.left
        found = [each.facts["left"] for each in console.picture().troubles if "left" in each.facts]
        return found[0] if found else None  # type: ignore[return-value]

    async def work() -> None:
        async with stage(rabbitmq) as on:
            await on.die([numbered(1), numbered(2)], told=False)
            begin = await cut_short(on.session)
            async with asyncio.timeout(20):
                while (found := await left(on.console, begin.id)) is None:  # noqa: ASYNC110 (asks)
                    await asyncio.sleep(0.05)
            assert found == 2
            assert on.console.picture().letters.looks == 1

    asyncio.run(work())


def test_a_look_before_it_began_tells_nothing_of_it_and_one_more_is_had(rabbitmq: Broker) -> None:
    async def work() -> None:
        database, changes = opened(), Changes()
        log, index = OperationLog(database), LetterIndex(database)
        live = Live(rabbitmq, EventIndex(database), index, log, changes)
        letters = Letters(rabbitmq, index, live, log, changes)
        async with connected(rabbitmq, asyncio.Event()) as session:
            await declared(session)
            running = [asyncio.create_task(each) for each in (live.run(), letters.run())]
            letters.need()
            await until(lambda: letters.looks == 1)
            ahead = datetime.now(UTC) + timedelta(hours=1)  # by a clock that is wrong
            letters.need(ahead)
            await until(lambda: letters.looks == 2)
            letters.need(ahead)
            letters.need(LONG_AGO)
            await letters.look()
            assert letters.looks == 2, "there is nothing that one more would tell"
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    asyncio.run(work())


@pytest.mark.slow
def test_a_page_is_told_that_time_has_passed_also_where_nobody_is_heard(rabbitmq: Broker) -> None:
    async def work() -> None:
        async with stage(rabbitmq) as on:
            assert not on.console.picture().is_heard
            await until(lambda: on.console.picture().is_heard)
            async with asyncio.timeout(20):
                await told_of("fleet", on.console)
            assert [each.kind for each in on.console.picture().troubles] == ["fleet_unseen"]

    asyncio.run(work())


def kinds(console: Console) -> set[str]:
    return {each.kind for each in console.picture().troubles}


@pytest.mark.slow
def test_a_journal_that_is_not_there_is_a_trouble_until_it_can_be_read(rabbitmq: Broker) -> None:
    async def work() -> None:
        async with (
            connected(rabbitmq, asyncio.Event()) as session,
            Console(rabbitmq, settings()) as console,
        ):
            await until(lambda: "journal_unread" in kinds(console))
            await declared(session)
            await until(lambda: "journal_unread" not in kinds(console))

    asyncio.run(work())


class FailsOnce(OperationLog):
    """An operation log that meets one record with a fault of the program's."""

    has_failed = False

    def hear(self, delivery: Delivery) -> OperationRecord | None:
        if not self.has_failed:
            self.has_failed = True
            raise TypeError("nobody foresaw this")
        return super().hear(delivery)


class FullOnce(LetterIndex):
    """A letter index whose disk is full at the first look."""

    is_full = True

    def begin_look(self) -> None:
        if self.is_full:
            self.is_full = False
            raise sqlite3.OperationalError("database or disk is full")
        super().begin_look()


@pytest.mark.slow
def test_what_nobody_foresaw_is_said_and_ends_neither_the_following_nor_the_looking(
    rabbitmq: Broker,
) -> None:
    async def work() -> None:
        database, changes = opened(), Changes()
        log, index = FailsOnce(database), FullOnce(database)
        live = Live(rabbitmq, EventIndex(database), index, log, changes)
        letters = Letters(rabbitmq, index, live, log, changes)
        letters.need()
        async with connected(rabbitmq, asyncio.Event()) as session:
            await declared(session)
            running = [asyncio.create_task(each) for each in (live.run(), letters.run())]
            await until(lambda: "disk is full" in (letters.state().why or ""))
            await until(lambda: letters.looked_at and letters.state().why is None)
            await write(session, session.names.operations, RECORD_TYPE, record("begun"))
            await until(lambda: not live.state.is_up)
            assert "nobody foresaw this" in (live.state.why or "")
            await write(session, session.names.operations, RECORD_TYPE, record("begun"))
            await until(lambda: live.state.is_up and log.row("op-1"))
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    asyncio.run(work())
