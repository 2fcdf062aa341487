"""RabbitMQ goes and comes back: the last picture stays, says since when, and is live again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.contract.console.stage import broker_at, declared, prepared, settings, until
from tests.unit.console.dead import numbered
from worker.amqp.session import connected
from worker.console.data import Console
from worker.console.model import LetterFilter, RunOptions, UnavailableError
from worker.core.message import Publication

if TYPE_CHECKING:
    from ops.rabbitmq.node import Node
    from tests.conftest import NewNode
    from worker.amqp.session import Broker

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
