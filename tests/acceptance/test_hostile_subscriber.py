"""What subscribers and publishers do to the worker's answers stops nothing."""

from __future__ import annotations

import json
from itertools import count
from typing import TYPE_CHECKING

import pika
import pytest

from tests.acceptance.kit import connected, edit, letters, publish, until
from tests.conftest import since

if TYPE_CHECKING:
    from ops.rabbitmq.node import Node
    from tests.acceptance.conftest import NewWorker
    from tests.acceptance.kit import Subscriber

GONE = "amq.rabbitmq.reply-to.g1h2AA.gone"
"""Of a client that has left: RabbitMQ before 4.3 closes the connection of who publishes to it."""


@pytest.mark.slow
def test_a_full_queue_that_refuses_events_stops_nothing_and_the_journal_has_them(
    amqp_url: str, namespace: str, new_worker: NewWorker, events: Subscriber
) -> None:
    full = {"x-max-length": 1, "x-overflow": "reject-publish"}
    with connected(amqp_url) as channel:
        channel.queue_declare(f"{namespace}.full", arguments=full)
        channel.queue_bind(f"{namespace}.full", f"{namespace}.events", "#")
    worker = new_worker()
    ids = publish(amqp_url, namespace, [edit(1 + n) for n in range(100)])
    until(lambda: worker.lane()["edits"] == {"applied": len(ids)}, 30)
    assert worker.lines("events_refused")
    assert journal(amqp_url, namespace) >= set(ids)
    assert events.settled() == dict.fromkeys(ids, "applied")  # who has room is told as well


def journal(url: str, namespace: str) -> set[str]:
    """The message ids of all events in the journal."""
    found: set[str] = set()
    with connected(url) as channel:
        channel.basic_qos(prefetch_count=100)
        offset = {"x-stream-offset": "first"}
        for method, _, body in channel.consume(
            f"{namespace}.journal", arguments=offset, inactivity_timeout=1.0
        ):
            if method is None:
                return found
            channel.basic_ack(method.delivery_tag or 0)
            found |= {json.loads(body)["data"]["messageId"]} if body else set()
    return found


def test_replies_to_nobody_cost_the_reply_alone(
    broker: Node, amqp_url: str, namespace: str, new_worker: NewWorker, events: Subscriber
) -> None:
    worker = new_worker()
    ids = publish(amqp_url, namespace, [edit(1 + n) for n in range(50)], ids="a", reply_to=GONE)
    ids += publish(amqp_url, namespace, [edit(1 + n) for n in range(50)], ids="b", reply_to="none")
    until(lambda: events.settled() == dict.fromkeys(ids, "applied"))
    with connected(amqp_url) as channel:
        queue = channel.queue_declare("", exclusive=True).method.queue
        tries = count()

        def answered() -> bool:
            """Ask anew: a reply may be on the very connection that a reply to nobody ends."""
            publish(amqp_url, namespace, [edit(1)], ids=f"c{next(tries)}", reply_to=queue)
            return channel.basic_get(queue)[0] is not None

        until(answered, what="nobody is answered any more")
    lost = {line["link"] for line in worker.lines("connection_lost")}
    assert lost == (set() if since(broker, 4, 3) else {"reply"})


def test_what_rabbitmq_would_act_upon_is_not_carried_to_the_dead_letter(
    amqp_url: str, namespace: str, new_worker: NewWorker, events: Subscriber
) -> None:
    new_worker()
    death = [{"queue": f"{namespace}.dead", "reason": "expired", "count": 1, "exchange": ""}]
    publish(
        amqp_url,
        namespace,
        [edit(1, robotCount=0)],
        user_id="guest",
        expiration="600000",
        headers={"x-death": death, "x-first-death-queue": f"{namespace}.dead", "own": "kept"},
    )
    until(events.settled)
    with connected(amqp_url) as channel:
        _, properties, _ = until(lambda: _got(channel, f"{namespace}.dead"))
        assert isinstance(properties, pika.BasicProperties)
        assert properties.user_id is properties.expiration is None
        headers = properties.headers or {}
    assert headers["own"] == "kept"
    assert headers["taskedit-user-id"] == "guest"
    assert not {"x-death", "x-first-death-queue"} & set(headers)


def _got(channel: pika.adapters.blocking_connection.BlockingChannel, queue: str) -> object:
    method, properties, body = channel.basic_get(queue, auto_ack=True)
    return method and (method, properties, body)


def test_an_app_id_of_300_characters_is_applied_and_told(
    amqp_url: str, namespace: str, new_worker: NewWorker, events: Subscriber
) -> None:
    new_worker()
    publish(amqp_url, namespace, [edit(1, appId="a" * 300), edit(2, appId="\u00fc.#.*" * 60)])
    until(lambda: events.settled() == {"m-0": "applied", "m-1": "applied"})
    assert not letters(amqp_url, namespace)
