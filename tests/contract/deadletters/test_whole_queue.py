from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pika
import pytest

from tests.contract.deadletters.users import a_user
from worker.amqp import dead_letters as letters
from worker.amqp import lock
from worker.deadletters.browse import browse, discard
from worker.deadletters.letter import read
from worker.deadletters.visit import VisitFailure, VisitFailureKind

if TYPE_CHECKING:
    from ops.rabbitmq.node import Node
    from tests.contract.deadletters.conftest import DeadQueue
    from worker.core.message import Delivery
    from worker.deadletters.visit import Broker


def seen(visited: Broker) -> list[str]:
    """The message ids in the queue, by a look."""
    found: list[str] = []
    missing = browse(visited, "a test", lambda one: found.append(str(one.properties.message_id)))
    assert missing == 0
    return found


@pytest.mark.parametrize(
    ("count", "window"),
    [(100, 1000), (100, 30), pytest.param(100_000, 50_000, marks=pytest.mark.slow)],
)
def test_any_number_of_letters_is_seen_and_left_in_order(
    dead: DeadQueue,
    visited: Broker,
    monkeypatch: pytest.MonkeyPatch,
    count: int,
    window: int,
) -> None:
    monkeypatch.setattr(letters, "WINDOW", window)
    dead.put(range(count))
    everything = [str(number) for number in range(count)]
    assert seen(visited) == everything
    assert seen(visited) == everything
    left = [dead.taken() for _ in range(100)]
    assert [one and one[0].message_id for one in left] == everything[:100]


def test_what_comes_in_during_a_look_is_not_seen_and_stays_behind(
    dead: DeadQueue, visited: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(letters, "WINDOW", 7)
    dead.put(range(20))
    found: list[str] = []

    def see(delivery: Delivery) -> None:
        found.append(str(delivery.properties.message_id))
        if len(found) == 10:
            dead.put(range(20, 30))

    assert browse(visited, "a test", see) == 0
    assert found == [str(number) for number in range(20)]
    assert seen(visited) == [str(number) for number in range(30)]


def test_discarding_leaves_the_others_in_order(
    dead: DeadQueue, visited: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(letters, "WINDOW", 30)
    dead.put(range(100))
    keys: set[bytes] = set()

    def see(delivery: Delivery) -> None:
        if int(delivery.properties.message_id or 0) % 3 == 0:
            keys.add(read(delivery, 1).key)

    assert browse(visited, "a test", see) == 0
    assert discard(visited, "a test", keys) == 34
    assert seen(visited) == [str(number) for number in range(100) if number % 3]


LOOK_AND_DIE = """
import os, signal, sys
from datetime import timedelta
from schemas import Names
from worker.deadletters.visit import Broker
from worker.deadletters.browse import look

count = 0

def see(_):
    global count
    count += 1
    if count == 60:
        os.kill(os.getpid(), signal.SIGKILL)

look(Broker((sys.argv[1],), timedelta(seconds=5), Names(sys.argv[2]), "test"), "a test", see)
"""


def test_a_look_that_is_killed_leaves_all_in_order(
    amqp_url: str, dead: DeadQueue, visited: Broker
) -> None:
    dead.put(range(100))
    command = (sys.executable, "-c", LOOK_AND_DIE, amqp_url, dead.names.namespace)
    assert subprocess.run(command, check=False, timeout=30).returncode == -9
    assert seen(visited) == [str(number) for number in range(100)]


def test_letters_that_somebody_else_takes_meanwhile_are_counted_and_not_waited_for(
    dead: DeadQueue, visited: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(letters, "WINDOW", 5)
    monkeypatch.setattr(letters, "QUIET", 0.2)
    dead.put(range(20))
    found: list[str] = []
    taken: list[pika.spec.Basic.GetOk | None] = []

    def see(delivery: Delivery) -> None:
        found.append(str(delivery.properties.message_id))
        if len(found) == 5:
            taken.extend(dead.channel.basic_get(dead.names.dead)[0] for _ in range(3))

    assert browse(visited, "a test", see) == 3
    assert len(found) == 17
    for one in taken:
        assert one is not None
        dead.channel.basic_nack(one.delivery_tag or 0)
    assert sorted(map(int, seen(visited))) == list(range(20))


def test_a_lock_whose_holder_does_not_answer_is_a_lock_all_the_same(
    amqp_url: str, dead: DeadQueue, visited: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "ANSWERS_WITHIN", 0.1)
    dead.put(range(1))
    with pika.BlockingConnection(pika.URLParameters(amqp_url)) as holder:
        holder.channel().queue_declare(dead.names.dead_lock, exclusive=True)
        found = browse(visited, "a test", lambda _: None)
    assert found == VisitFailure(VisitFailureKind.BUSY, "at the letters already: another command")
    assert seen(visited) == ["0"]


def test_without_permission_for_the_lock_it_says_so(
    broker: Node, dead: DeadQueue, visited: Broker
) -> None:
    with a_user(broker, configure="", write=".*", read=".*") as url:
        found = browse(replace(visited, urls=(url,)), "a test", lambda _: None)
    assert isinstance(found, VisitFailure)
    assert found.kind is VisitFailureKind.FAILED
    assert "ACCESS_REFUSED" in found.why
    del dead
