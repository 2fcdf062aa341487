"""RabbitMQ goes and comes back: the last picture stays, says since when, and is live again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.conftest import since
from tests.contract.console.stage import broker_at, declared, prepared, settings, stage, until
from tests.unit.console.dead import numbered
from worker.amqp.session import connected
from worker.console.data import Console
from worker.console.model import LetterFilter, RunOptions, UnavailableError
from worker.core.message import Publication

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
            await asyncio.to_thread(node.stop)
            await until(lambda: not on.picture().broker.is_up)
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
