from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest
from pika import BasicProperties

from schemas import Names
from tests.chaos.proxy import Network
from tests.contract.deadletters.conftest import done
from tests.contract.deadletters.users import a_user
from tests.unit.builders import NOW
from tests.unit.schemas.builders import event
from worker.amqp.session import MARKER, OFFSET, Failure, FailureKind, run
from worker.amqp.topology import Queue, journal_objects

if TYPE_CHECKING:
    from ops.rabbitmq.node import Node
    from tests.contract.deadletters.conftest import DeadQueue
    from worker.amqp.session import Broker, Offset, Session

COUNT = 3000


@pytest.fixture
def told(dead: DeadQueue, namespace: str) -> list[str]:
    """The ids of the events in the journal, which has other things in it too."""
    names = Names(namespace)
    [queue] = [item for item in journal_objects(names) if isinstance(item, Queue)]
    dead.channel.queue_declare(queue.name, durable=True, arguments=dict(queue.arguments))
    dead.channel.confirm_delivery()
    for number in range(COUNT):
        body = event(event_id=f"e-{number}")
        of = BasicProperties(message_id=f"e-{number}", type="task-edit.applied.v1")
        dead.channel.basic_publish("", names.journal, body, of)
        if number % 1000 == 0:
            of = BasicProperties(message_id=f"marker-{number}", type=MARKER)
            dead.channel.basic_publish("", names.journal, b"", of)
    return [f"e-{number}" for number in range(COUNT)]


async def ids(session: Session, *, offset: Offset, most: int = COUNT) -> list[str | None]:
    """The message ids of the journal's entries from there on."""
    found: list[str | None] = []
    async for entry in session.journal(offset):
        found.append(entry.properties.message_id)
        if len(found) == most:
            break
    return found


def test_all_events_up_to_now_are_told_in_order_and_no_markers(
    rabbitmq: Broker, told: list[str]
) -> None:
    for _ in range(2):
        assert done(rabbitmq, partial(ids, offset="first", most=COUNT + 1)) == told


def test_reading_can_begin_in_the_middle_or_in_the_future_and_end_early(
    rabbitmq: Broker, told: list[str]
) -> None:
    heard = done(rabbitmq, partial(ids, offset=2001))
    assert heard == told[-len(heard) :]
    assert 0 < len(heard) < COUNT
    assert done(rabbitmq, partial(ids, offset=NOW.replace(year=2099))) == []
    assert done(rabbitmq, partial(ids, offset="first", most=3)) == told[:3]


def test_without_permission_to_publish_the_end_is_where_nothing_comes(
    broker: Node, rabbitmq: Broker, told: list[str]
) -> None:
    with a_user(broker, configure="", write="", read=".*") as url:
        reader = replace(rabbitmq, urls=(url,))
        assert done(reader, partial(ids, offset="first", most=COUNT + 1)) == told


def test_following_goes_on_where_it_was_left_when_a_connection_is_lost(
    broker: Node, dead: DeadQueue, rabbitmq: Broker, told: list[str]
) -> None:
    heard: list[str | None] = []
    last = -1
    with Network() as network:
        proxy = network.proxy(broker.port)
        url = rabbitmq.urls[0].replace(f":{broker.port}/", f":{proxy.port}/")

        async def follow(session: Session) -> None:
            nonlocal last
            async for entry in session.journal("first" if last < 0 else last + 1, follow=True):
                last = int(entry.properties.headers.text(OFFSET) or 0)
                if entry.properties.type != MARKER:
                    heard.append(entry.properties.message_id)
                if len(heard) in {100, COUNT}:
                    proxy.reset()

        for _ in range(2):
            failure = run(replace(rabbitmq, urls=(url,)), follow)
            assert isinstance(failure, Failure)
            assert failure.kind is FailureKind.ABSENT
    assert heard == told
    del dead
