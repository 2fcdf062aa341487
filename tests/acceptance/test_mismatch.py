"""What RabbitMQ holds with other arguments: only a lane stops for it, and `/readyz` tells all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from schemas import Names
from tests.acceptance.kit import KEY, SECRET, Subscriber, connected, edit, publish, until
from worker.amqp.topology import Queue, journal_objects, lane_arguments, operators_objects

if TYPE_CHECKING:
    from pathlib import Path

    from ops.simulator.control import Simulator
    from tests.acceptance.conftest import NewWorker

ACCOUNTS = f"""
[accounts.acme]
api_key = "{KEY}"
api_secret = "{SECRET}"
app_ids = ["acme-app"]

[accounts.zeta]
api_key = "key-of-zeta"
api_secret = "secret-of-zeta"
app_ids = ["zeta-app"]
"""


def test_a_mismatch_stops_that_lane_only_and_names_argument_values_and_way_out(
    amqp_url: str, namespace: str, new_worker: NewWorker, tmp_path: Path
) -> None:
    lane = f"{namespace}.lane.zeta"
    with connected(amqp_url) as channel:
        other = lane_arguments(Names(namespace)) | {"x-delivery-limit": 5}
        channel.queue_declare(lane, durable=True, arguments=other)
    (tmp_path / "accounts.toml").write_text(ACCOUNTS)
    worker = new_worker(
        ready=False, API_KEY="", API_SECRET="", ACCOUNTS_FILE=str(tmp_path / "accounts.toml")
    )
    why = until(lambda: "inequivalent" in (said := worker.asked("/readyz")[1]) and said)
    for part in (lane, "x-delivery-limit", "'1000'", "'5'", f"delete_queue -p / {lane} "):
        assert part in why
    subscriber = Subscriber(amqp_url, namespace)
    ids = publish(amqp_url, namespace, [edit(1)])
    until(lambda: subscriber.settled() == dict.fromkeys(ids, "applied"))
    with connected(amqp_url) as channel:
        channel.queue_delete(lane)
    worker.ready(30)
    subscriber.close()


def hold(url: str, queue: str, **arguments: object) -> None:
    """Have RabbitMQ hold a queue with these arguments."""
    with connected(url) as channel:
        channel.queue_declare(queue, durable=True, arguments=arguments)


def test_a_journal_held_otherwise_is_told_and_read_all_the_same(
    amqp_url: str, namespace: str, simulator: Simulator, new_worker: NewWorker
) -> None:
    journal, _ = journal_objects(Names(namespace))
    assert isinstance(journal, Queue)
    hold(amqp_url, journal.name, **{**journal.arguments, "x-max-length-bytes": 10**9})
    worker = new_worker(ready=False)
    why = until(lambda: "inequivalent" in (said := worker.asked("/readyz")[1]) and said)
    for part in (
        "x-max-length-bytes",
        f"'{journal.arguments['x-max-length-bytes']}'",
        "'1000000000'",
        f"delete_queue -p / {journal.name} ",
    ):
        assert part in why
    events = Subscriber(amqp_url, namespace)
    publish(amqp_url, namespace, [edit(1)])
    until(lambda: len(events.take()) == 1)
    worker.kill()
    worker.start()
    publish(amqp_url, namespace, [edit(1)])
    until(lambda: len(events.take()) == 2)
    assert len(simulator.calls()) == 1, "what was settled before the restart was forgotten"
    events.close()


@pytest.mark.parametrize("kind", ["classic", "quorum"])
def test_a_queue_in_place_of_the_journal_is_told_and_gets_no_events(
    amqp_url: str, namespace: str, new_worker: NewWorker, kind: str
) -> None:
    journal = Names(namespace).journal
    hold(amqp_url, journal, **{"x-queue-type": kind})
    worker = new_worker(ready=False)
    until(lambda: "inequivalent" in (said := worker.asked("/readyz")[1]) and journal in said)
    events = Subscriber(amqp_url, namespace)
    publish(amqp_url, namespace, [edit(1)])
    until(lambda: len(events.take()) == 1)
    with connected(amqp_url) as channel:
        assert channel.queue_declare(journal, passive=True).method.message_count == 0
        channel.queue_delete(journal)
    worker.ready(30)
    events.close()


def test_what_operators_use_held_otherwise_is_told_until_it_is_deleted(
    amqp_url: str, namespace: str, new_worker: NewWorker
) -> None:
    names = Names(namespace)
    for item in operators_objects(names):
        if isinstance(item, Queue):
            hold(amqp_url, item.name, **{**item.arguments, "x-max-length-bytes": 10_000_000})
    with connected(amqp_url) as channel:
        channel.exchange_declare(names.fleet, "topic", durable=True)
    worker = new_worker(ready=False)
    ways_out = (
        f"delete_queue -p / {names.control} ",
        f"delete_queue -p / {names.operations} ",
        f"-V / delete exchange name={names.fleet} ",
    )
    until(lambda: all(way in worker.asked("/readyz")[1] for way in ways_out))
    with connected(amqp_url) as channel:
        channel.queue_delete(names.control)
        channel.queue_delete(names.operations)
        channel.exchange_delete(names.fleet)
    worker.ready(30)


def test_the_way_out_of_an_exchange_of_another_type_is_told(
    amqp_url: str, namespace: str, new_worker: NewWorker
) -> None:
    events = Names(namespace).events
    with connected(amqp_url) as channel:
        channel.exchange_declare(events, "fanout", durable=True)
    worker = new_worker(ready=False)
    until(lambda: f"-V / delete exchange name={events} " in worker.asked("/readyz")[1])
    with connected(amqp_url) as channel:
        channel.exchange_delete(events)
        channel.exchange_declare(events, "topic", durable=True)  # before the worker looks again
    worker.ready(30)
