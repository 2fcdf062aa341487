"""A command's session at a real RabbitMQ."""

from __future__ import annotations

import asyncio
import os
import signal
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from schemas import Names
from worker.amqp.session import (
    Broker,
    Channel,
    ChannelClosedError,
    Failure,
    FailureKind,
    Session,
    SessionError,
    run,
)
from worker.amqp.topology import Binding, Exchange, Queue, operators_objects, shared_objects
from worker.core.message import PERSISTENT, ConfirmResult, Properties, Publication
from worker.deadletters.queue import locked

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ops.rabbitmq.node import Node


@pytest.fixture
def rabbitmq(amqp_url: str, namespace: str) -> Broker:
    return Broker((amqp_url,), timedelta(seconds=5), Names(namespace), "test")


def _message(exchange: str, key: str, number: int) -> Publication:
    properties = Properties(message_id=str(number), delivery_mode=PERSISTENT)
    return Publication(exchange, key, str(number).encode(), properties)


async def bodies(session: Session) -> list[bytes]:
    """What the dead letters say, by a look."""
    async with locked(session, "a test") as queue:
        return [one.body async for one, _ in queue.take()]


def _declared(names: Names) -> tuple[Exchange | Queue | Binding, ...]:
    return (*shared_objects(names), *operators_objects(names))


def test_the_broker_says_of_each_publication_what_became_of_it(rabbitmq: Broker) -> None:
    async def work(session: Session) -> list[ConfirmResult]:
        await session.declared(_declared(session.names))
        channel = await session.publisher()
        futures = [
            channel.publish_soon(_message("", session.names.dead, 1)),
            channel.publish_soon(_message("", "no-such-queue", 2)),
            channel.publish_soon(_message("", session.names.dead, 3)),
        ]
        return list(await asyncio.gather(*futures))

    assert run(rabbitmq, work) == [
        ConfirmResult.CONFIRMED,
        ConfirmResult.UNROUTABLE,
        ConfirmResult.CONFIRMED,
    ]


def test_who_publishes_while_the_channel_for_it_is_being_made_waits_for_the_confirm_too(
    rabbitmq: Broker,
) -> None:
    async def work(session: Session) -> list[ConfirmResult]:
        await session.declared(_declared(session.names))
        given_up = asyncio.create_task(session.publisher())
        dead = session.names.dead
        both = asyncio.gather(*(session.publish(_message("", dead, number)) for number in range(2)))
        while not given_up.done():  # wherever it stands by then
            await asyncio.sleep(0)
            given_up.cancel()
        return [*await both, await session.publish(_message("", dead, 3))]

    assert run(rabbitmq, work) == [ConfirmResult.CONFIRMED] * 3


def test_a_stream_is_read_from_its_first_entry_up_to_now(rabbitmq: Broker) -> None:
    async def work(session: Session) -> list[bytes]:
        await session.declared(_declared(session.names))
        for number in range(3):
            await session.publish(_message("", session.names.control, number))
        first = [entry.body async for entry in session.stream(session.names.control, "first")]
        second = [entry.body async for entry in session.stream(session.names.control, "first")]
        assert first == second
        return first

    assert run(rabbitmq, work) == [b"0", b"1", b"2"]


def test_who_follows_a_stream_owes_rabbitmq_nothing_once_it_is_quiet(
    broker: Node, rabbitmq: Broker
) -> None:
    """Else it closes the channel, or cancels the consumer, after its acknowledgement timeout."""

    async def owed() -> int:
        told = await asyncio.to_thread(broker.ctl, "list_channels", "messages_unacknowledged")
        return sum(int(line) for line in told.split() if line.isdecimal())

    async def work(session: Session) -> list[bytes]:
        await session.declared(_declared(session.names))
        for number in range(3):
            await session.publish(_message("", session.names.control, number))
        entries, read = session.stream(session.names.control, "first", follow=True), list[bytes]()

        async def follow() -> None:
            async for entry in entries:
                read.append(entry.body)

        following = asyncio.create_task(follow())
        while len(read) < 3 or await owed():  # noqa: ASYNC110 (RabbitMQ is asked)
            await asyncio.sleep(0.1)
        await session.publish(_message("", session.names.control, 3))
        while len(read) < 4:  # noqa: ASYNC110 (followed on)
            await asyncio.sleep(0.01)
        following.cancel()
        return read

    assert run(rabbitmq, work) == [b"0", b"1", b"2", b"3"]


@pytest.mark.parametrize(
    ("queue", "says"), [("dead", "is no stream"), ("no-such", "there is no queue")]
)
def test_what_is_no_stream_is_not_read(rabbitmq: Broker, queue: str, says: str) -> None:
    async def work(session: Session) -> None:
        await session.declared(_declared(session.names))
        async for _ in session.stream(f"{session.names.namespace}.{queue}", "first"):
            pass

    failure = run(rabbitmq, work)
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.NO_STREAM
    assert says in failure.why


def test_a_look_at_the_dead_letters_leaves_them_in_their_order(rabbitmq: Broker) -> None:
    async def work(session: Session) -> list[list[bytes]]:
        await session.declared(_declared(session.names))
        for number in range(50):
            await session.publish(_message(session.names.dead, "", number))
        return [await bodies(session) for _ in range(3)]

    wanted = [str(number).encode() for number in range(50)]
    assert run(rabbitmq, work) == [wanted, wanted, wanted]


def test_what_is_acked_is_gone_and_the_rest_is_back_in_order(rabbitmq: Broker) -> None:
    async def work(session: Session) -> list[bytes]:
        await session.declared(_declared(session.names))
        for number in range(10):
            await session.publish(_message(session.names.dead, "", number))
        async with locked(session, "a test") as queue:
            found = [held async for held in queue.letters(to_settle=True)]
            for held in found[2:5]:
                held.ack()
        return await bodies(session)

    assert run(rabbitmq, work) == [b"0", b"1", b"5", b"6", b"7", b"8", b"9"]


def test_a_second_command_is_told_who_is_at_the_letters(rabbitmq: Broker) -> None:
    async def work(session: Session) -> Failure | None:
        await session.declared(_declared(session.names))

        async def second(other: Session) -> None:
            async with locked(other, "the second"):
                raise AssertionError

        async with locked(session, "the first command"):
            try:
                async with session.another() as other:
                    await second(other)
            except SessionError as error:
                return error.failure
        return None

    failure = run(rabbitmq, work)
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.BUSY
    assert "the first command" in failure.why


def test_a_refusal_ends_the_session_with_what_rabbitmq_says(rabbitmq: Broker) -> None:
    async def work(session: Session) -> Channel:
        channel = await session.channel()
        await channel.declare(Queue("amq.reserved"))
        return channel

    failure = run(rabbitmq, work)
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.REFUSED
    assert "amq.reserved" in failure.why


def test_without_a_broker_it_says_which_address_does_not_answer(namespace: str) -> None:
    rabbitmq = Broker(
        ("amqp://nobody:secret@127.0.0.1:1/",), timedelta(seconds=5), Names(namespace), "test"
    )

    async def work(_: Session) -> None:
        raise AssertionError

    failure = run(rabbitmq, work)
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.ABSENT
    assert "127.0.0.1:1" in failure.why
    assert "secret" not in failure.why


def test_ctrl_c_ends_it_and_gives_back_what_was_taken(rabbitmq: Broker) -> None:
    async def stopped(session: Session) -> None:
        await session.declared(_declared(session.names))
        for number in range(5):
            await session.publish(_message(session.names.dead, "", number))
        async with locked(session, "a test") as queue:
            assert len([held async for held in queue.letters(to_settle=True)]) == 5
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.Event().wait()

    async def again(session: Session) -> int:
        channel = await session.channel()
        return (await channel.counts(session.names.dead))[0]

    failure = run(rabbitmq, stopped)
    assert failure == Failure(FailureKind.STOPPED, "stopped")
    assert run(rabbitmq, again) == 5


@pytest.mark.parametrize(
    "ask",
    [
        lambda channel: channel.call("basic_qos", prefetch_count=1),
        lambda channel: channel.consume("no-such-queue"),
        lambda channel: channel.confirm(),
        lambda channel: channel.publish(_message("", "no-such-queue", 1)),
    ],
    ids=["call", "consume", "confirm", "publish"],
)
def test_a_question_on_a_channel_that_is_closing_ends_as_on_a_closed_one(
    rabbitmq: Broker, ask: Callable[[Channel], Awaitable[object]]
) -> None:
    async def work(session: Session) -> str:
        channel = await session.publisher()
        channel.close()
        try:
            await ask(channel)
        except ChannelClosedError as error:
            return str(error)
        return "answered"

    assert "losing" in str(run(rabbitmq, work))


def test_channels_that_were_closed_leave_nothing_behind_at_the_connection(
    rabbitmq: Broker,
) -> None:
    """Who counts queues for days opens one after the other."""

    async def work(session: Session) -> list[int | None]:
        connection, found = session._connection, []  # noqa: SLF001
        for _ in range(20):
            channel = await session.channel()
            channel.close()
            kept = connection.callbacks.pending(0, connection.ON_CONNECTION_CLOSED)
            found.append(kept)
        return found

    kept = run(rabbitmq, work)
    assert isinstance(kept, list)
    assert kept[0] == kept[-1]
