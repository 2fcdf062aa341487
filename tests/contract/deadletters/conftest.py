"""A queue of dead letters, and what lies in it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar, cast

import pika
import pytest

from schemas import Names
from tests.unit.schemas.builders import edit
from worker.amqp import codec
from worker.amqp.session import Broker, Failure, run
from worker.amqp.topology import Queue, shared_objects
from worker.deadletters.queue import locked

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from pika.adapters.blocking_connection import BlockingChannel

    from worker.amqp.codec import WireProperties
    from worker.amqp.session import Session
    from worker.core.message import Properties

Result = TypeVar("Result")


@dataclass(frozen=True)
class DeadQueue:
    """The queue of dead letters of one namespace, and the lanes that a test asks for."""

    names: Names
    channel: BlockingChannel

    def put(self, numbers: Sequence[int], account: str = "acme", redrives: int = 0) -> None:
        """Letters of jobs 1, 2 …, whose message ids are those numbers; there when it returns."""
        wanted = self.ready() + len(numbers)
        for number in numbers:
            self.channel.basic_publish(
                self.names.dead,
                "LILIN888",
                json.dumps(edit(jobId=number + 1)).encode(),
                pika.BasicProperties(
                    message_id=str(number),
                    headers={
                        "taskedit-reason": "internal",
                        "taskedit-account": account,
                        "taskedit-event-id": f"event-{number}",
                        "taskedit-dead-at": f"2026-11-22T08:00:00.{number % 1000:03}Z",
                        "taskedit-redrives": str(redrives),
                    },
                ),
            )

        while self.ready() < wanted:
            self.channel.connection.sleep(0.01)

    def ready(self) -> int:
        """How many letters wait in the queue."""
        declared = self.channel.queue_declare(self.names.dead, passive=True).method
        return int(declared.message_count)

    def lane(self, account: str = "acme", **arguments: object) -> str:
        """A queue as an account's lane; its name."""
        queue = self.names.lane(account)
        self.channel.queue_declare(
            queue, durable=True, arguments={"x-queue-type": "quorum", **arguments}
        )
        return queue

    def drained(self, queue: str = "") -> list[str]:
        """The message ids in a queue (the letters' own), which are taken out."""
        found: list[str] = []
        while taken := self.taken(queue):
            found.append(str(taken[0].message_id))
        return found

    def taken(self, queue: str = "") -> tuple[Properties, bytes] | None:
        """One message out of a queue (the letters' own); None if it is empty."""
        found = self.channel.basic_get(queue or self.names.dead, auto_ack=True)
        if found[0] is None:
            return None
        return cast("WireProperties", found[1]).core, found[2] or b""


@pytest.fixture
def dead(amqp_url: str, namespace: str) -> Iterator[DeadQueue]:
    codec.install()
    names = Names(namespace)
    with pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection:
        channel = connection.channel()
        channel.exchange_declare(names.dead, "fanout", durable=True)
        channel.exchange_declare(names.events, "topic", durable=True)
        for item in shared_objects(names):
            if isinstance(item, Queue) and item.name == names.dead:
                channel.queue_declare(item.name, durable=True, arguments=dict(item.arguments))
        channel.queue_bind(names.dead, names.dead)
        yield DeadQueue(names, channel)


@pytest.fixture
def rabbitmq(amqp_url: str, namespace: str) -> Broker:
    return Broker((amqp_url,), timedelta(seconds=5), Names(namespace), "test")


def done(rabbitmq: Broker, work: Callable[[Session], Awaitable[Result]]) -> Result:
    """What `work` gives in a session, which does not fail."""
    found = run(rabbitmq, work)
    assert not isinstance(found, Failure), found
    return found


def seen(rabbitmq: Broker) -> list[str]:
    """The message ids in the queue, by a look."""

    async def look(session: Session) -> list[str]:
        async with locked(session, "a test") as queue:
            found = [one.properties.message_id or "" async for one, _ in queue.take()]
        assert queue.missing == 0
        return found

    return done(rabbitmq, look)
