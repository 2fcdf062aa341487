"""What somebody deletes from RabbitMQ while the worker runs is there again at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.acceptance.kit import connected, edit, publish, until

if TYPE_CHECKING:
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
