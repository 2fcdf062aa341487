"""A queue keeps no consumer whose channel is gone, with the priorities that replicas have there."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pika
import pytest

from schemas import Names
from worker.amqp.session import version_of
from worker.amqp.topology import lane_arguments
from worker.core.rendezvous import priority, spreads

if TYPE_CHECKING:
    from ops.rabbitmq.node import Node

ROUNDS = 60


@pytest.mark.slow
def test_channels_that_close_in_any_order_leave_no_consumer_behind(
    broker: Node, namespace: str
) -> None:
    queue, chance = f"{namespace}.lane", random.Random(7)
    replicas = [pika.BlockingConnection(pika.URLParameters(broker.amqp_url)) for _ in range(3)]
    spread = spreads(version_of(getattr(replicas[0], "_impl")))  # noqa: B009 (pika hides it)
    channel = replicas[0].channel()
    channel.queue_declare(queue, durable=True, arguments=lane_arguments(Names(namespace)))
    for _ in range(1000):
        channel.basic_publish("", queue, b"")
    for number in range(ROUNDS):
        opened: list[Any] = []
        for name, replica in enumerate(replicas):
            of = priority(f"{name}-{number}", queue) if spread else 0
            opened.append(replica.channel())
            opened[-1].basic_qos(prefetch_count=200)
            opened[-1].basic_consume(queue, lambda *_: None, arguments={"x-priority": of})
        chance.shuffle(opened)
        for each in opened:
            each._impl.basic_cancel = lambda *_, **__: None  # noqa: SLF001 (as the worker closes)
            each._impl.close()  # noqa: SLF001
        while not all(each._impl.is_closed for each in opened):  # noqa: SLF001
            for replica in replicas:
                replica.process_data_events(0.01)
    left = channel.queue_declare(queue, passive=True).method.consumer_count
    for replica in replicas:
        replica.close()
    assert left == 0
