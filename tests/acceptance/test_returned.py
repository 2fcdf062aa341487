"""A dead letter that comes back by another hand than `redrive` is that edit sent again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from ops.simulator.control import Simulator
from tests.acceptance.kit import (
    KEY,
    SECRET,
    Subscriber,
    WorkerProcess,
    connected,
    edit,
    letters,
    publish,
    until,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.conftest import NewWorker
    from tests.conftest import NewNode


def moved(url: str, namespace: str, to: str, copies: int = 1) -> int:
    """Move the dead letters there are, with all their properties and headers; how many."""
    with connected(url) as channel:
        channel.confirm_delivery()
        count: int = channel.queue_declare(f"{namespace}.dead", passive=True).method.message_count
        for _ in range(count):
            method, properties, body = channel.basic_get(f"{namespace}.dead")
            assert method is not None
            assert body is not None
            for _ in range(copies):
                channel.basic_publish("", to, body, properties)
            channel.basic_ack(method.delivery_tag or 0)
        return count


def publish_three(url: str, namespace: str) -> None:
    """Two edits with a message id and one without."""
    publish(url, namespace, [edit(1, name="n-1"), edit(2, name="n-2")])
    with connected(url) as channel:
        channel.basic_publish(namespace, "acme-app", json.dumps(edit(3, name="n-3")).encode())


def outcomes(events: Subscriber) -> list[tuple[str, str]]:
    """Job and outcome of each event so far."""
    return sorted((event["subject"], event["data"]["outcome"]) for event in events.take())


def test_letters_moved_to_their_lane_are_called_again_and_applied(
    amqp_url: str,
    namespace: str,
    simulator: Simulator,
    new_worker: NewWorker,
    events: Subscriber,
) -> None:
    simulator.answer("-33", times=3)
    new_worker()
    publish_three(amqp_url, namespace)
    until(lambda: len(events.take()) == 3)

    assert moved(amqp_url, namespace, f"{namespace}.lane.default") == 3

    until(lambda: len(events.take()) == 6)
    both = [("1", "applied"), ("1", "rejected"), ("2", "applied"), ("2", "rejected")]
    assert outcomes(events) == [*both, ("3", "applied"), ("3", "rejected")]
    assert sorted(str(call.name) for call in simulator.calls()[3:]) == ["n-1", "n-2", "n-3"]
    assert letters(amqp_url, namespace) == []


def test_a_letter_that_is_rejected_again_has_a_letter_of_its_own_each_time(
    amqp_url: str,
    namespace: str,
    simulator: Simulator,
    new_worker: NewWorker,
    events: Subscriber,
) -> None:
    simulator.answer("-33")
    new_worker()
    publish_three(amqp_url, namespace)
    for count in (1, 2):
        until(lambda: len(events.take()) == 3 * count)  # noqa: B023 (called now)
        assert moved(amqp_url, namespace, f"{namespace}.lane.default") == 3
    until(lambda: len(events.take()) == 9)

    assert len({event["id"] for event in events.take()}) == 9
    found = until(lambda: letters(amqp_url, namespace))
    assert [headers["taskedit-redrives"] for headers, _ in found] == ["2"] * 3


def test_two_copies_of_a_returned_letter_are_called_once(
    amqp_url: str,
    namespace: str,
    simulator: Simulator,
    new_worker: NewWorker,
    events: Subscriber,
) -> None:
    simulator.answer("-33", times=3)
    new_worker()
    publish_three(amqp_url, namespace)
    until(lambda: len(events.take()) == 3)
    assert moved(amqp_url, namespace, f"{namespace}.lane.default", copies=2) == 3

    until(lambda: len(events.take()) == 9)
    assert len(simulator.calls()) == 6
    assert len({event["id"] for event in events.take()}) == 6


def test_letters_of_a_dead_queue_with_a_time_to_live_are_sent_again(
    amqp_url: str,
    namespace: str,
    simulator: Simulator,
    new_worker: NewWorker,
    events: Subscriber,
) -> None:
    """The queue hands them to the lane's exchange with an x-death of RabbitMQ's own."""
    simulator.answer("-33", times=2)
    new_worker()
    with connected(amqp_url) as channel:
        arguments = {
            "x-message-ttl": 1,
            "x-dead-letter-exchange": namespace,
            "x-dead-letter-routing-key": "acme-app",
        }
        channel.queue_declare(f"{namespace}.retry", arguments=arguments)
        publish(amqp_url, namespace, [edit(1), edit(2)])
        until(lambda: len(events.take()) == 2)
        assert moved(amqp_url, namespace, f"{namespace}.retry") == 2
        until(lambda: len(events.take()) == 4)
    assert outcomes(events) == [(job, how) for job in "12" for how in ("applied", "rejected")]


@pytest.mark.slow
def test_the_shovel_of_the_management_page_brings_letters_back(
    new_node: NewNode, tmp_path: Path
) -> None:
    """What its "Move messages" does: a shovel that ends with the queue."""
    node = new_node(plugins=["rabbitmq_shovel"])
    with Simulator("--account", f"{KEY}:{SECRET}", "--rate", "100000/s") as simulator:
        settings = {
            "TASKEDIT_AMQP_URL": node.amqp_url,
            "TASKEDIT_API_URL": simulator.url,
            "TASKEDIT_API_KEY": KEY,
            "TASKEDIT_API_SECRET": SECRET,
        }
        with WorkerProcess(tmp_path, settings) as worker:
            worker.ready()
            events = Subscriber(node.amqp_url, "task-edit")
            simulator.answer("-33", times=3)
            publish_three(node.amqp_url, "task-edit")
            until(lambda: len(events.take()) == 3)
            shovel = {
                "src-protocol": "amqp091",
                "src-uri": node.amqp_url,
                "src-queue": "task-edit.dead",
                "src-delete-after": "queue-length",
                "dest-protocol": "amqp091",
                "dest-uri": node.amqp_url,
                "dest-queue": "task-edit.lane.default",
                "dest-add-forward-headers": False,
            }
            node.ctl("set_parameter", "shovel", "back", json.dumps(shovel))
            until(lambda: len(events.take()) == 6, 40)
            assert [how for _, how in outcomes(events)] == ["applied", "rejected"] * 3
            events.close()
