"""RabbitMQ goes and comes back: the last picture stays, says since when, and is live again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from schemas import Names
from tests.conftest import since
from tests.contract.console.stage import (
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
from tests.unit.console.test_plans import alive
from worker.amqp.session import connected
from worker.amqp.topology import Queue
from worker.console.changes import Changes
from worker.console.data import Console
from worker.console.event_index import EventIndex
from worker.console.letter_index import LetterIndex
from worker.console.live import EVERY_PAGE, Live
from worker.console.model import LetterFilter, RunOptions, UnavailableError
from worker.console.operation_log import OperationLog
from worker.console.store import opened
from worker.core.message import Publication
from worker.deadletters.plan import RedriveAction
from worker.fleet.watch import GONE_AFTER, SILENT_AFTER

if TYPE_CHECKING:
    from ops.rabbitmq.node import Node
    from tests.conftest import NewNode
    from tests.contract.console.stage import Stage
    from worker.amqp.session import Broker
    from worker.console.model import OperationRow

pytestmark = pytest.mark.timeout(240)
ALL = LetterFilter()
LIVE_AGAIN_WITHIN = 15.0


async def put(rabbitmq: Broker) -> None:
    async with connected(rabbitmq, asyncio.Event()) as session:
        await declared(session)
        dead = numbered(0).dead
        await session.publish(Publication(session.names.dead, "a", dead.body, dead.properties))


@pytest.mark.slow
def test_the_last_picture_stays_and_is_live_again_soon(new_node: NewNode) -> None:
    node: Node = new_node()
    rabbitmq = broker_at(node.amqp_url, "task-edit")

    async def work() -> None:
        await put(rabbitmq)
        async with Console(rabbitmq, settings()) as on:
            await on.groups("cause", ALL)
            await until(lambda: on.picture().letters.looked_at)
            told = [asyncio.create_task(told_of(part, on)) for part in EVERY_PAGE]
            await asyncio.sleep(0)  # they follow from now on
            await asyncio.to_thread(node.stop)
            await until(lambda: not on.picture().broker.is_up)
            await asyncio.wait_for(asyncio.gather(*told), LIVE_AGAIN_WITHIN)
            state = on.picture().broker
            assert state.heard_at is not None
            assert state.why
            assert on.picture().troubles[0].kind == "broker_away"
            assert [group.count for group in await on.groups("cause", ALL)] == [1]
            with pytest.raises(UnavailableError):
                await on.plan("redrive", by="Li Wei", filter_=ALL)
            with pytest.raises(UnavailableError):
                await on.run("any", RunOptions(), by="Li Wei")

            await asyncio.to_thread(node.start)
            await until(lambda: on.picture().broker.is_up, within=LIVE_AGAIN_WITHIN)
            assert "broker_away" not in {trouble.kind for trouble in on.picture().troubles}
            plan = await on.plan("redrive", by="Li Wei", filter_=ALL)
            found = await prepared(on, plan)
            assert (found.state, found.total) == ("ready", 1)

    asyncio.run(work())


@pytest.mark.slow
def test_a_replica_that_is_silent_is_so_after_a_lost_connection_and_is_gone_in_the_end(
    new_node: NewNode,
) -> None:
    node: Node = new_node()
    rabbitmq, names = broker_at(node.amqp_url, "task-edit"), Names("task-edit")
    database, changes = opened(), Changes()
    events, letters, log = EventIndex(database), LetterIndex(database), OperationLog(database)
    live = Live(rabbitmq, events, letters, log, changes)

    def silent() -> list[str]:
        return [name for name, _ in live.fleet.silent(live.now)]

    async def work() -> None:
        async with stage(rabbitmq) as on:
            following = asyncio.create_task(live.run())
            await on.lane("acme")
            await until(lambda: live.state.is_up)
            while "w-1" not in live.fleet.replicas:
                await on.beats("w-1", acme=lane(), former=lane())
                await asyncio.sleep(0.1)
            await until(lambda: live.depths.get(names.lane("acme")) == 0)
        live.fleet.replicas["w-1"].heard_at -= SILENT_AFTER
        node.ctl("close_all_connections", "a test")
        await until(lambda: not live.state.is_up)
        await until(lambda: live.state.is_up)
        assert silent() == ["w-1"]
        live.fleet.replicas["w-1"].heard_at -= GONE_AFTER
        await until(lambda: not live.fleet.replicas)
        assert live.accounts() == {"acme"}
        following.cancel()

    asyncio.run(work())


@pytest.mark.slow
def test_what_a_lost_connection_cut_short_says_how_far_it_came_and_is_gone_on_with(
    new_node: NewNode,
) -> None:
    node: Node = new_node()
    rabbitmq, names = broker_at(node.amqp_url, "task-edit"), Names("task-edit")
    letters = [numbered(number) for number in range(30)]

    async def now(on: Console, operation: str) -> OperationRow:
        row = await on.operation(operation)
        assert row is not None
        return row

    async def over(on: Console, operation: str) -> OperationRow:
        row = await now(on, operation)
        async with asyncio.timeout(60):
            while row.state == "running":
                await asyncio.sleep(0.05)
                row = await now(on, operation)
        return row

    async def work() -> None:
        async with connected(rabbitmq, asyncio.Event()) as session:
            await declared(session)
            await session.declared((Queue(names.lane("acme"), {"x-queue-type": "quorum"}),))
            for one in letters:
                dead = one.dead
                await session.publish(Publication(names.dead, "a", dead.body, dead.properties))
        async with Console(rabbitmq, settings()) as on:
            await until(lambda: on.picture().broker.is_up)
            plan = await prepared(on, await on.plan("redrive", by="Li", filter_=ALL))
            begun = await on.run(plan.id, RunOptions(canary=10, rate="5/s"), by="Li")
            row = await now(on, begun.id)
            async for parts in on.changes():
                row = await now(on, begun.id)
                assert row.state == "running"
                if "operations" in parts and row.done == 10:
                    break
            assert row.step == 10
            node.ctl("close_all_connections", "a test")
            await until(lambda: not on.picture().broker.is_up)
            again = await on.run(plan.id, RunOptions(), by="Li")
            assert again.id == begun.id, "the same, whether RabbitMQ answers or not"
            await until(lambda: on.picture().broker.is_up)
            row = await over(on, begun.id)
            assert (row.state, row.done, row.left, row.can_go_on) == ("failed", 10, 20, True)
            assert (await on.stop(begun.id, by="Li")).state == "failed", "it is over already"

            plan = await prepared(on, await on.go_on(begun.id, by="Ann"))
            assert plan.total == 20
            rest = await on.run(plan.id, RunOptions(), by="Ann")
            row = await over(on, rest.id)
            assert (row.state, row.done, row.left) == ("ended", 20, 0)
            assert not (await now(on, begun.id)).can_go_on
            await until(lambda: not alive(RedriveAction))

    asyncio.run(work())


@pytest.mark.slow
def test_letters_that_rabbitmq_takes_back_for_late_acks_are_seen_and_sent_again(
    broker: Node, namespace: str
) -> None:
    if not since(broker, 4, 3):
        pytest.skip("before 4.3 RabbitMQ closes the channel instead")
    rabbitmq, dead = broker_at(broker.amqp_url, namespace), f"{namespace}.dead"
    letters = [numbered(number) for number in range(30)]

    async def sent(on: Stage, options: RunOptions) -> OperationRow:
        """Send everything that is there; how that ended."""
        plan = await prepared(on.console, await on.console.plan("redrive", by="Li", filter_=ALL))
        begun = await on.console.run(plan.id, options, by="Li")
        for _ in range(900):
            row = await on.console.operation(begun.id)
            if row is not None and row.state != "running":
                return row
            await asyncio.sleep(0.1)
        raise AssertionError("it does not end")

    async def left(on: Stage, queue: str) -> int:
        return (await (await on.session.channel()).counts(queue))[0]

    async def work() -> None:
        async with stage(rabbitmq) as on:
            await on.lane()
            await on.die(letters)
            row = await sent(on, RunOptions(rate="1/s"))
            assert row.state == "failed"
            assert "timed out" in str(row.result)
            assert 0 < row.done < len(letters)
            assert on.console.picture().broker.is_up
            broker.ctl("clear_policy", namespace)
            row = await sent(on, RunOptions())
            assert row.state == "ended"
            assert await left(on, dead) == 0
            assert await left(on, rabbitmq.names.lane("acme")) >= len(letters)

    broker.ctl("set_policy", namespace, f"^{dead}$", '{"consumer-timeout": 3000}')
    asyncio.run(work())
