"""Letters sent again from the console: exactly those shown, a few first, and once."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.kit import edit, publish, until
from tests.contract.console.stage import broker_at, prepared, settings
from tests.contract.console.stage import until as until_so
from worker.console.data import Console
from worker.console.model import LetterFilter, RefusedError, RunOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ops.simulator.control import Simulator
    from tests.acceptance.conftest import NewWorker
    from tests.acceptance.kit import Subscriber
    from worker.amqp.session import Broker
    from worker.console.model import OperationRow, Plan

pytestmark = pytest.mark.timeout(240)
EACH = 100
STATUSES = ("-33", "-41", "-52")
ALL = LetterFilter()
BY = "Li Wei"


@pytest.fixture
def rabbitmq(amqp_url: str, namespace: str) -> Broker:
    return broker_at(amqp_url, namespace)


@pytest.fixture
def dead(
    amqp_url: str,
    namespace: str,
    simulator: Simulator,
    new_worker: NewWorker,
    events: Subscriber,
) -> None:
    """A worker that has rejected 300 edits, of three causes."""
    new_worker(APP_IDS="acme-app", RATE="200/s")
    for number, status in enumerate(STATUSES):
        simulator.answer(status)
        jobs = range(number * EACH + 1, (number + 1) * EACH + 1)
        publish(amqp_url, namespace, [edit(job) for job in jobs], ids=f"m{number}")
        until(partial(settled, events, (number + 1) * EACH), within=60)
        simulator.clear(record=True)


def settled(events: Subscriber, count: int) -> bool:
    return len(events.take()) == count


@asynccontextmanager
async def console(rabbitmq: Broker) -> AsyncIterator[Console]:
    async with Console(rabbitmq, settings()) as found:
        await until_so(lambda: found.picture().broker.is_up)
        await until_so(lambda: found.picture().journal.is_complete)
        yield found


async def made(on: Console, wanted: LetterFilter = ALL) -> Plan:
    plan = await on.plan("redrive", by=BY, filter_=wanted)
    found = await prepared(on, plan)
    assert found.state == "ready", found.why_failed
    return found


async def over(on: Console, operation: str) -> OperationRow:
    row = await on.operation(operation)
    async with asyncio.timeout(60):
        while row is None or row.state == "running":
            await asyncio.sleep(0.05)
            row = await on.operation(operation)
    return row


def test_exactly_the_letters_that_were_shown_are_sent_again_by_one_operation(
    dead: None,
    rabbitmq: Broker,
    simulator: Simulator,
    events: Subscriber,
    amqp_url: str,
    namespace: str,
) -> None:
    del dead

    async def work() -> None:
        async with console(rabbitmq) as on:
            await on.groups("cause", ALL)
            await until_so(lambda: on.picture().letters.looked_at)
            groups = await on.groups("cause", ALL)
            assert Counter({group.status: group.count for group in groups}) == Counter(
                dict.fromkeys(STATUSES, EACH)
            )
            plan = await made(on)
            assert (plan.total, plan.sends, plan.stays_count) == (3 * EACH, 3 * EACH, 0)

            simulator.answer("-33")  # twelve more die while somebody reads the plan
            publish(amqp_url, namespace, [edit(1000 + n) for n in range(12)], ids="late")
            await until_so(lambda: on.picture().letters.known == 3 * EACH + 12)
            simulator.clear(record=True)

            options = RunOptions(why="INC-4711")
            first, second = await asyncio.gather(
                on.run(plan.id, options, by=BY), on.run(plan.id, options, by="Ann")
            )
            assert first.id == second.id
            assert (await on.run(plan.id, options, by="Ann")).id == first.id
            row = await over(on, first.id)
            assert (row.state, row.done, row.left, row.actor) == ("ended", 3 * EACH, 0, BY)
            assert row.result is not None
            assert row.result["sent"] == 3 * EACH
            page = await on.letters(ALL)
            assert {str(letter.message_id) for letter in page.rows} == {
                f"late-{n}" for n in range(12)
            }
            rows = (await on.operations()).rows
            assert [(one.via, one.action, one.why) for one in rows] == [
                ("console", "redrive", "INC-4711")
            ]
            await until_so(lambda: len(simulator.calls()) == 3 * EACH)
            jobs = Counter(str(call.job) for call in simulator.calls())
            assert jobs == Counter(map(str, range(1, 3 * EACH + 1)))

    asyncio.run(work())
    del events


def test_a_canary_of_five_stops_after_five_while_the_api_refuses(
    dead: None, rabbitmq: Broker, simulator: Simulator
) -> None:
    del dead

    async def work() -> None:
        async with console(rabbitmq) as on:
            plan = await made(on, LetterFilter(status="-41"))
            assert plan.total == EACH
            simulator.answer("-41")
            begun = await on.run(plan.id, RunOptions(canary=5), by=BY)
            row = await over(on, begun.id)
            assert (row.state, row.done, row.rejected, row.left) == ("stopped", 5, 5, EACH - 5)
            assert len(simulator.calls()) == 5
            await until_so(lambda: on.picture().letters.known == 3 * EACH)
            assert on.picture().letters.looks == 1

    asyncio.run(work())


def test_it_is_stopped_by_whoever_wants_it_stopped(
    dead: None, rabbitmq: Broker, simulator: Simulator
) -> None:
    del dead

    async def work() -> None:
        async with console(rabbitmq) as on:
            plan = await made(on)
            begun = await on.run(plan.id, RunOptions(rate="20/s"), by=BY)
            await until_so(simulator.calls)
            await on.stop(begun.id, by="Ann")
            row = await over(on, begun.id)
            assert row.state == "stopped"
            assert row.left is not None
            assert 0 < row.left < 3 * EACH
            await until_so(lambda: on.picture().letters.known == row.left)
            assert (await on.stop(begun.id, by=BY)).state == "stopped", "it is over already"

    asyncio.run(work())


PROCESS = """
import asyncio, sys
from tests.acceptance.test_console import ALL, BY, console, made
from tests.contract.console.stage import broker_at
from worker.console.model import RunOptions

async def work():
    async with console(broker_at(*sys.argv[1:])) as on:
        plan = await made(on)
        begun = await on.run(plan.id, RunOptions(rate="40/s"), by=BY)
        print(begun.id, flush=True)
        await asyncio.sleep(600)

asyncio.run(work())
"""


@pytest.mark.slow
def test_killed_in_the_middle_and_gone_on_with_none_is_lost_and_none_applied_twice(
    dead: None,
    rabbitmq: Broker,
    simulator: Simulator,
    events: Subscriber,
    amqp_url: str,
    namespace: str,
) -> None:
    del dead
    program = (sys.executable, "-c", PROCESS, amqp_url, namespace)
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        operation = process.stdout.readline().strip()
        until(lambda: len(simulator.calls()) > 20)
        process.kill()

    async def work() -> None:
        async with console(rabbitmq) as on:
            await on.groups("cause", ALL)
            await until_so(lambda: on.picture().letters.looked_at)
            await until_so(
                lambda: any(t.kind == "operation_interrupted" for t in on.picture().troubles),
                within=60,
            )
            plan = await on.go_on(operation, by="Ann")
            found = await prepared(on, plan)
            assert 0 < found.total < 3 * EACH
            begun = await on.run(plan.id, RunOptions(), by="Ann")
            row = await over(on, begun.id)
            assert row.state == "ended"
            assert row.filter["goes_on"] == operation
            await until_so(lambda: not on.picture().letters.known)
            old = await on.operation(operation)
            assert old is not None
            assert not old.can_go_on
            assert on.picture().troubles == ()

    asyncio.run(work())
    until(lambda: set(events.settled().values()) == {"applied"}, within=60)
    assert Counter(str(call.job) for call in simulator.calls()) == Counter(
        map(str, range(1, 3 * EACH + 1))
    )


def test_a_mended_letter_is_applied_once_and_its_original_never(
    rabbitmq: Broker,
    simulator: Simulator,
    new_worker: NewWorker,
    events: Subscriber,
    amqp_url: str,
    namespace: str,
) -> None:
    new_worker(APP_IDS="acme-app")
    publish(amqp_url, namespace, [edit(7, dailyEndDateTime="25:00")])
    until(lambda: len(events.take()) == 1)

    async def work() -> None:
        async with console(rabbitmq) as on:
            await on.groups("cause", ALL)
            await until_so(lambda: on.picture().letters.known == 1)
            [row] = (await on.letters(ALL)).rows
            assert row.fields == ("dailyEndDateTime",)
            bad = json.dumps(edit(7, dailyEndDateTime="26:00"))
            check = await on.check_mend(row.key, bad)
            assert [field for field, _ in check.problems] == ["dailyEndDateTime"]
            plan = await on.plan("mend", by=BY, mended={row.key: bad})
            await prepared(on, plan)
            with pytest.raises(RefusedError, match="invalid"):
                await on.run(plan.id, RunOptions(), by=BY)

            good = json.dumps(edit(7, dailyEndDateTime="19:30", name="mended"))
            check = await on.check_mend(row.key, good)
            assert check.is_good
            assert '-  "dailyEndDateTime": "25:00",' in check.difference
            assert '+  "dailyEndDateTime": "19:30",' in check.difference
            plan = await on.plan("mend", by=BY, mended={row.key: good})
            await prepared(on, plan)
            begun = await on.run(plan.id, RunOptions(canary=1), by=BY)
            ended = await over(on, begun.id)
            assert (ended.action, ended.state, ended.applied) == ("mend", "ended", 1)
            assert on.picture().letters.known == 0

    asyncio.run(work())
    [call] = simulator.calls()
    assert call.name == "mended"


def test_what_is_discarded_is_gone_and_recorded_and_the_rest_stays(
    dead: None, rabbitmq: Broker, simulator: Simulator
) -> None:
    del dead

    async def work() -> None:
        async with console(rabbitmq) as on:
            plan = await on.plan("discard", by=BY, filter_=LetterFilter(status="-52"))
            await prepared(on, plan)
            begun = await on.run(plan.id, RunOptions(why="duplicates"), by=BY)
            row = await over(on, begun.id)
            assert (row.state, row.done) == ("ended", EACH)
            assert on.picture().letters.known == 2 * EACH
            await until_so(lambda: on.picture().letters.total == 2 * EACH)
            assert not simulator.calls()

    asyncio.run(work())
