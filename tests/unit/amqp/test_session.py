"""What is awaited on a channel, over pika's connection and the frames that RabbitMQ sends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from pika import spec

from tests.unit.amqp.peer import Peer, content, deliver, method
from worker.amqp import codec
from worker.amqp.frames import QuickConnection
from worker.amqp.session import Channel, DeliveryStream, channel_of
from worker.core.message import ConfirmResult, Properties, Publication

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


@pytest.fixture(autouse=True)
def _decoding() -> None:
    codec.install()


def run(work: Callable[[Peer], Awaitable[None]]) -> None:
    async def over_a_peer() -> None:
        await work(Peer(QuickConnection, asyncio.get_running_loop()))

    asyncio.run(over_a_peer())


async def opened(peer: Peer) -> Channel:
    opening = asyncio.create_task(channel_of(peer.connection))
    await asyncio.sleep(0)
    peer.read(method(2, spec.Channel.OpenOk()))
    return await opening


async def answered(peer: Peer, asking: Awaitable[Any], answer: Any) -> Any:  # noqa: ANN401
    asked = asyncio.ensure_future(asking)
    await asyncio.sleep(0)
    peer.read(method(2, answer))
    return await asked


async def consuming(peer: Peer) -> DeliveryStream:
    channel = await opened(peer)
    asked = asyncio.create_task(channel.consume("queue"))
    await asyncio.sleep(0)
    [tag] = peer.connection._channels[2]._consumers  # noqa: SLF001 (pika made it up)
    peer.read(method(2, spec.Basic.ConsumeOk(tag)))
    return await asked


@pytest.mark.parametrize("together", [True, False])
def test_of_two_messages_with_one_id_the_one_that_came_back_is_told_so(*, together: bool) -> None:
    async def work(peer: Peer) -> None:
        channel = await opened(peer)
        await answered(peer, channel.confirm(), spec.Confirm.SelectOk())
        properties = Properties(message_id="same")
        routed, returned = (
            channel.publish_soon(Publication("", queue, b"{}", properties))
            for queue in ("lane.a", "lane.b")
        )
        back = spec.Basic.Return(312, "NO_ROUTE", "", "lane.b")
        peer.read(content((2, back), properties, b"{}"))
        for ack in [(2, True)] if together else [(1, False), (2, False)]:
            peer.read(method(2, spec.Basic.Ack(*ack)))
        assert await routed is ConfirmResult.CONFIRMED
        assert await returned is ConfirmResult.UNROUTABLE

    run(work)


def test_a_channel_that_nobody_waits_for_any_more_is_closed_when_it_opens() -> None:
    async def work(peer: Peer) -> None:
        opening = asyncio.create_task(channel_of(peer.connection))
        await asyncio.sleep(0)
        opening.cancel()
        await asyncio.wait([opening])
        peer.read(method(2, spec.Channel.OpenOk()))
        assert peer.connection._channels[2].is_closing  # noqa: SLF001

    run(work)


def test_a_delivery_that_comes_as_whoever_waits_gives_up_is_the_next_ones() -> None:
    async def work(peer: Peer) -> None:
        stream = await consuming(peer)
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        peer.read(content(deliver(2, stream.tag, 1, False, "x"), Properties(), b"one"))
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled()
        peer.read(content(deliver(2, stream.tag, 2, False, "x"), Properties(), b"two"))
        assert [(await anext(stream)).body for _ in range(2)] == [b"one", b"two"]
        assert await stream.within(0.01) is None

    run(work)
