from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest
from pika import BasicProperties

from schemas import Names
from tests.chaos.proxy import Network
from tests.contract.deadletters.users import a_user
from tests.unit.builders import NOW
from tests.unit.schemas.builders import event
from worker.amqp import history
from worker.amqp.session import MARKER
from worker.amqp.topology import Queue, journal
from worker.deadletters.journal import Follower, read_journal
from worker.deadletters.visit import VisitFailureKind

if TYPE_CHECKING:
    from ops.rabbitmq.node import Node
    from tests.contract.deadletters.conftest import DeadQueue
    from worker.core.message import Properties
    from worker.deadletters.visit import Broker

COUNT = 3000


def note(heard: list[str | None], event: Properties, _: bytes) -> None:
    heard.append(event.message_id)


@pytest.fixture
def told(dead: DeadQueue, namespace: str) -> list[str]:
    """The ids of the events in the journal, which has other things in it too."""
    names = Names(namespace)
    [queue] = [item for item in journal(names) if isinstance(item, Queue)]
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


def test_all_events_up_to_now_are_told_in_order_and_no_markers(
    visited: Broker, told: list[str]
) -> None:
    for _ in range(2):
        heard: list[str | None] = []
        assert read_journal(visited, "first", partial(note, heard)) is None
        assert heard == told


def test_reading_can_begin_in_the_middle_or_in_the_future_and_end_early(
    visited: Broker, told: list[str]
) -> None:
    heard: list[str | None] = []
    assert read_journal(visited, 2001, partial(note, heard)) is None
    assert heard == told[-len(heard) :]
    assert 0 < len(heard) < COUNT
    heard.clear()
    assert read_journal(visited, NOW.replace(year=2099), partial(note, heard)) is None
    assert heard == []

    def three(one: Properties, _: bytes) -> bool:
        heard.append(one.message_id)
        return len(heard) < 3

    assert read_journal(visited, "first", three) is None
    assert heard == told[:3]


def test_without_permission_to_publish_the_end_is_where_nothing_comes(
    broker: Node, visited: Broker, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "QUIET", 1.5)
    heard: list[str | None] = []
    with a_user(broker, configure="", write="", read=".*") as url:
        reader = replace(visited, urls=(url,))
        assert read_journal(reader, "first", partial(note, heard)) is None
    assert heard == told


def test_following_goes_on_where_it_was_left_when_a_connection_is_lost(
    broker: Node, dead: DeadQueue, visited: Broker, told: list[str]
) -> None:
    heard: list[str | None] = []
    with Network() as network:
        proxy = network.proxy(broker.port)
        url = visited.urls[0].replace(f":{broker.port}/", f":{proxy.port}/")

        def hear(one: Properties, _: bytes) -> None:
            heard.append(one.message_id)
            if len(heard) in {100, COUNT}:
                proxy.reset()

        follower = Follower(replace(visited, urls=(url,)), "first", hear)
        for _ in range(2):
            trouble = follower.follow()
            assert trouble is not None
            assert trouble.kind is VisitFailureKind.ABSENT
            assert follower.was_up
    assert heard == told
    del dead
