from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, cast

import pika
import pytest

from tests.contract.deadletters.conftest import done, seen
from tests.contract.deadletters.users import a_user
from worker.amqp.session import Failure, FailureKind, run
from worker.deadletters.queue import DeadLetterQueue, discard, locked

if TYPE_CHECKING:
    from ops.rabbitmq.node import Node
    from tests.contract.deadletters.conftest import DeadQueue
    from worker.amqp.session import Broker, DeliveryStream, Session
    from worker.core.message import Delivery
    from worker.deadletters.queue import DeliveryBatch


async def ids(session: Session, **sizes: float) -> list[str]:
    """The message ids in the queue, taken in batches and with a patience of the test's own."""
    queue = DeadLetterQueue(session, **sizes)  # type: ignore[arg-type]
    found = [one.properties.message_id or "" async for one, _ in queue.take()]
    await queue.give_back()
    return found


@pytest.mark.parametrize(
    ("count", "batch"),
    [
        (100, 1000),
        (100, 30),
        pytest.param(100_000, 50_000, marks=(pytest.mark.slow, pytest.mark.timeout(300))),
    ],
)
def test_any_number_of_letters_is_seen_and_left_in_order(
    dead: DeadQueue, rabbitmq: Broker, count: int, batch: int
) -> None:
    dead.put(range(count))
    everything = [str(number) for number in range(count)]
    for _ in range(2):
        assert done(rabbitmq, partial(ids, batch=batch)) == everything
    left = [dead.taken() for _ in range(100)]
    assert [one and one[0].message_id for one in left] == everything[:100]


def test_what_comes_in_during_a_look_is_not_seen_and_stays_behind(
    dead: DeadQueue, rabbitmq: Broker
) -> None:
    dead.put(range(20))

    async def look(session: Session) -> list[str]:
        queue, found = DeadLetterQueue(session, batch=7), []
        async for one, _ in queue.take():
            found.append(one.properties.message_id or "")
            if len(found) == 10:
                dead.put(range(20, 30))
        await queue.give_back()
        return found

    assert done(rabbitmq, look) == [str(number) for number in range(20)]
    assert seen(rabbitmq) == [str(number) for number in range(30)]


def test_discarding_leaves_the_others_in_order(dead: DeadQueue, rabbitmq: Broker) -> None:
    dead.put(range(100))

    async def thin_out(session: Session) -> int:
        queue = DeadLetterQueue(session, batch=30)
        keys = {
            held.letter.key
            async for held in queue.letters()
            if int(held.letter.head.message_id or 0) % 3 == 0
        }
        await queue.give_back()
        gone = await discard(queue, keys)
        await queue.give_back()
        return gone

    assert done(rabbitmq, thin_out) == 34
    assert seen(rabbitmq) == [str(number) for number in range(100) if number % 3]


LOOK_AND_DIE = """
import os, signal, sys
from datetime import timedelta
from schemas import Names
from worker.amqp.session import Broker, run
from worker.deadletters.queue import locked

async def look(session):
    count = 0
    async with locked(session, "a test") as queue:
        async for _ in queue.take():
            count += 1
            if count == 60:
                os.kill(os.getpid(), signal.SIGKILL)

run(Broker((sys.argv[1],), timedelta(seconds=5), Names(sys.argv[2]), "test"), look)
"""


def test_a_look_that_is_killed_leaves_all_in_order(
    amqp_url: str, dead: DeadQueue, rabbitmq: Broker
) -> None:
    dead.put(range(100))
    command = (sys.executable, "-c", LOOK_AND_DIE, amqp_url, dead.names.namespace)
    assert subprocess.run(command, check=False, timeout=30).returncode == -9
    assert seen(rabbitmq) == [str(number) for number in range(100)]


def test_who_is_cancelled_while_the_letters_are_given_back_leaves_no_error_behind(
    dead: DeadQueue, rabbitmq: Broker
) -> None:
    dead.put(range(20))
    left: list[object] = []

    async def look(session: Session) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, what: left.append(what))
        taken = asyncio.Event()

        async def all_of_it() -> None:
            async with locked(session, "a test") as queue:
                queue._batch_size = 7  # noqa: SLF001 (several, of which some are left)
                async for _ in queue.take():
                    pass
                taken.set()
                await asyncio.Event().wait()

        looking = asyncio.create_task(all_of_it())
        await taken.wait()
        for _ in range(2):  # while it waits, and while it gives back
            looking.cancel()
            await asyncio.sleep(0)
        await asyncio.wait([looking])
        await session.close()
        if rest := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(rest)
            del rest  # with its tasks, which tell then what nobody heard
        gc.collect()

    done(rabbitmq, look)
    assert left == []


def test_letters_that_somebody_else_takes_meanwhile_are_counted_and_not_waited_for(
    dead: DeadQueue, rabbitmq: Broker
) -> None:
    dead.put(range(20))
    taken: list[pika.spec.Basic.GetOk | None] = []

    async def look(session: Session) -> tuple[int, int]:
        queue, count = DeadLetterQueue(session, batch=5, quiet=0.2), 0
        async for _ in queue.take():
            count += 1
            if count == 5:
                taken.extend(dead.channel.basic_get(dead.names.dead)[0] for _ in range(3))
        await queue.give_back()
        return count, queue.missing

    assert done(rabbitmq, look) == (17, 3)
    for one in taken:
        assert one is not None
        dead.channel.basic_nack(one.delivery_tag or 0)
    assert sorted(map(int, seen(rabbitmq))) == list(range(20))


class SlowStart:
    """A stream of letters whose first is five seconds away."""

    def __init__(self, stream: DeliveryStream) -> None:
        self._stream = stream
        self._has_begun = False

    async def within(self, seconds: float) -> Delivery | None:
        if not self._has_begun and seconds < 5:
            return None
        self._has_begun = True
        return await self._stream.within(seconds)


class SlowQueue(DeadLetterQueue):
    """The queue of a RabbitMQ that takes long to read a batch."""

    async def _batch(self, wanted: int) -> tuple[DeliveryBatch, DeliveryStream]:
        batch, came = await super()._batch(wanted)
        return batch, cast("DeliveryStream", SlowStart(came))


def test_letters_of_a_batch_that_takes_long_to_begin_are_not_missing(
    dead: DeadQueue, rabbitmq: Broker
) -> None:
    dead.put(range(20))

    async def look(session: Session) -> tuple[int, int]:
        queue = SlowQueue(session, batch=10, quiet=2)
        found = [delivery async for delivery, _ in queue.take()]
        await queue.give_back()
        return len(found), queue.missing

    assert done(rabbitmq, look) == (20, 0)


async def nothing(session: Session) -> None:
    async with locked(session, "a test"):
        pass


def test_a_lock_whose_holder_does_not_answer_is_a_lock_all_the_same(
    amqp_url: str, dead: DeadQueue, rabbitmq: Broker
) -> None:
    dead.put(range(1))
    with pika.BlockingConnection(pika.URLParameters(amqp_url)) as holder:
        holder.channel().queue_declare(dead.names.dead_lock, exclusive=True)
        found = run(rabbitmq, nothing)
    assert found == Failure(FailureKind.BUSY, "at the letters already: another command")
    assert seen(rabbitmq) == ["0"]


def test_without_permission_for_the_lock_it_says_so(
    broker: Node, dead: DeadQueue, rabbitmq: Broker
) -> None:
    with a_user(broker, configure="", write=".*", read=".*") as url:
        found = run(replace(rabbitmq, urls=(url,)), nothing)
    assert isinstance(found, Failure)
    assert found.kind is FailureKind.REFUSED
    assert "ACCESS_REFUSED" in found.why
    del dead
