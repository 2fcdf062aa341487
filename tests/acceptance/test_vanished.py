"""What somebody deletes from RabbitMQ while the worker runs is there again at once."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from pika import BasicProperties
from pika.exceptions import ChannelClosedByBroker

from schemas.names import APPLIED_EVENT_TYPE
from tests.acceptance.console import Console
from tests.acceptance.kit import connected, edit, publish, until
from worker.core.identity import Identity

if TYPE_CHECKING:
    from pathlib import Path

    from ops.simulator.control import Simulator
    from tests.acceptance.conftest import NewWorker

EDITS = 200


def there(amqp_url: str, queue: str) -> int:
    """How many messages a queue has; fails while it does not exist."""
    with connected(amqp_url) as channel:
        found = channel.queue_declare(queue, passive=True)
        return int(found.method.message_count)


def test_a_journal_deleted_with_no_subscriber_bound_stops_no_lane(
    amqp_url: str, namespace: str, simulator: Simulator, new_worker: NewWorker
) -> None:
    worker = new_worker()
    publish(amqp_url, namespace, [edit(1)])
    until(lambda: len(simulator.calls()) == 1 and not worker.lane()["unconfirmed"])
    with connected(amqp_url) as channel:
        channel.queue_delete(f"{namespace}.journal")

    publish(amqp_url, namespace, [edit(1 + job) for job in range(EDITS)], ids="later")

    until(lambda: len(simulator.calls()) == 1 + EDITS, 30, "the lane has stopped")
    until(lambda: not worker.lane()["unconfirmed"] and not worker.lane()["held"])
    worker.ready()
    until(lambda: there(amqp_url, f"{namespace}.journal") >= EDITS)
    assert worker.lines("topology_vanished")


@pytest.mark.slow
def test_a_journal_declared_anew_is_read_from_its_beginning_though_it_has_outgrown_the_old_one(
    amqp_url: str, namespace: str, simulator: Simulator, new_worker: NewWorker, tmp_path: Path
) -> None:
    """What another replica has settled stands where the old one had been read already."""
    console = Console({"TASKEDIT_AMQP_URL": amqp_url, "TASKEDIT_NAMESPACE": namespace}, tmp_path)
    worker = new_worker()
    publish(amqp_url, namespace, [edit(1 + job) for job in range(20)], ids="old")
    until(lambda: len(simulator.calls()) == 20 and not worker.lane()["held"])
    taken_anew(console)
    publish(amqp_url, namespace, [edit(1)], ids="last")  # with it the journal is read once more
    until(lambda: len(simulator.calls()) == 21 and not worker.lane()["held"])
    with connected(amqp_url) as channel:
        channel.queue_delete(f"{namespace}.journal")
    until(lambda: worker.lines("topology_vanished"))
    worker.ready()
    settled = edit(99)
    digest = sha256(json.dumps(settled).encode()).digest()
    event_ids = [Identity("default", "new-0", digest, 0).event_id("applied")]
    event_ids += [str(uuid4()) for _ in range(60)]
    with connected(amqp_url) as channel:
        channel.queue_declare(f"{namespace}.journal", passive=True)
        for event_id in event_ids:
            own = BasicProperties(message_id=event_id, type=APPLIED_EVENT_TYPE)
            channel.basic_publish("", f"{namespace}.journal", b"{}", own)
    taken_anew(console)
    publish(amqp_url, namespace, [settled], ids="new")
    until(lambda: worker.lines("edit")[-1]["message_id"] == "new-0")
    assert worker.lines("edit")[-1]["outcome"] == "repeated"
    assert len(simulator.calls()) == 21


def taken_anew(console: Console) -> None:
    """The worker gives its lane back, and takes it over once more."""
    for command in (("pause", "default", "--why", "a test"), ("resume", "default")):
        ended = console.run(*command)
        assert ended.returncode == 0, ended.stderr


def test_an_events_exchange_deleted_under_load_costs_one_channel_and_no_event(
    amqp_url: str, namespace: str, simulator: Simulator, new_worker: NewWorker
) -> None:
    worker = new_worker(RATE="200/s")
    publish(amqp_url, namespace, [edit(1)])
    until(lambda: len(simulator.calls()) == 1 and not worker.lane()["unconfirmed"])
    with connected(amqp_url) as channel:
        channel.exchange_delete(f"{namespace}.events")

    publish(amqp_url, namespace, [edit(1 + job) for job in range(EDITS)], ids="more")

    until(lambda: there(amqp_url, f"{namespace}.journal") > EDITS, 40)
    worker.ready()
    assert worker.lines("topology_vanished")
    assert len(simulator.calls()) == 1 + EDITS
    assert len(worker.lines("publisher_channel_closed")) <= 2


@pytest.mark.parametrize("kind", ["", ".dead", ".strays"])
def test_an_exchange_that_nothing_of_the_worker_publishes_to_is_looked_for(
    amqp_url: str, namespace: str, simulator: Simulator, new_worker: NewWorker, kind: str
) -> None:
    worker = new_worker()
    with connected(amqp_url) as channel:
        channel.exchange_delete(f"{namespace}{kind}")

    until(lambda: worker.lines("topology_vanished"))
    worker.ready()
    publish(amqp_url, namespace, [edit(1)])

    until(lambda: len(simulator.calls()) == 1)


def test_where_the_worker_may_not_declare_it_says_what_is_gone(
    amqp_url: str, namespace: str, simulator: Simulator, new_worker: NewWorker
) -> None:
    new_worker().stop()
    worker = new_worker(DECLARE="false")
    with connected(amqp_url) as channel:
        channel.exchange_delete(f"{namespace}.dead")

    until(lambda: f"{namespace}.dead" in worker.asked("/readyz")[1])
    assert worker.asked("/readyz")[0] == 503
    publish(amqp_url, namespace, [edit(1)])
    until(lambda: len(simulator.calls()) == 1, what="the others are served no more")

    with connected(amqp_url) as channel:
        channel.exchange_declare(f"{namespace}.dead", "fanout", durable=True)
        channel.queue_bind(f"{namespace}.dead", f"{namespace}.dead", "")
    worker.ready()


@pytest.fixture
def paused(amqp_url: str, namespace: str, new_worker: NewWorker, tmp_path: Path) -> Console:
    """An account is paused, and then its lane is deleted."""
    console = Console({"TASKEDIT_AMQP_URL": amqp_url, "TASKEDIT_NAMESPACE": namespace}, tmp_path)
    new_worker()
    console.run("pause", "default", "--why", "a test")
    with connected(amqp_url) as channel:
        channel.queue_delete(f"{namespace}.lane.default")
    return console


def test_an_account_whose_lane_was_deleted_while_it_was_paused_can_be_resumed(
    amqp_url: str, namespace: str, simulator: Simulator, paused: Console
) -> None:
    paused.run("resume", "default")

    until(lambda: exists(amqp_url, f"{namespace}.lane.default"), 20)
    publish(amqp_url, namespace, [edit(1)])
    until(lambda: len(simulator.calls()) == 1)


@pytest.mark.slow
def test_a_lane_that_is_deleted_while_its_account_is_paused_is_declared_anew(
    amqp_url: str, namespace: str, simulator: Simulator, paused: Console
) -> None:
    """Else what is published until the end of the pause would be rejected as of an unknown app."""
    until(lambda: exists(amqp_url, f"{namespace}.lane.default"), 20)
    publish(amqp_url, namespace, [edit(1)])

    paused.run("resume", "default")

    until(lambda: len(simulator.calls()) == 1)


def exists(amqp_url: str, queue: str) -> bool:
    """Whether there is such a queue."""
    try:
        return there(amqp_url, queue) >= 0
    except ChannelClosedByBroker:
        return False
