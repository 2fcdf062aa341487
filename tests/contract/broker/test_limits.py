"""How RabbitMQ counts deliveries, refuses and closes, as far as the worker relies on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pika
import pytest
from pika.exceptions import (
    AMQPConnectionError,
    ChannelClosedByBroker,
    ConnectionClosedByBroker,
)

from tests.acceptance.kit import connected, until
from tests.conftest import since
from tests.contract.broker.consumer import Queue
from worker.amqp.topology import UNLIMITED_DELIVERIES

if TYPE_CHECKING:
    from ops.rabbitmq.node import Node

LOOKS = 30


def test_every_return_of_a_window_counts_towards_the_delivery_limit(
    amqp_url: str, namespace: str
) -> None:
    dead = Queue(amqp_url, f"{namespace}.dead")
    queue = Queue(
        amqp_url,
        f"{namespace}.lane",
        **{
            "x-delivery-limit": 2,
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": dead.name,
        },
    )
    queue.holds([1])
    for _ in range(3):
        with queue.consumer(1) as consumer:
            consumer.takes(1)
            consumer.closes_channel()
    with dead.consumer(1) as undertaker:
        assert undertaker.takes(1) == [1]


def test_the_highest_limit_lets_dead_letters_be_looked_at_for_ever(
    amqp_url: str, namespace: str
) -> None:
    queue = Queue(amqp_url, f"{namespace}.dead", **{"x-delivery-limit": UNLIMITED_DELIVERIES})
    queue.holds([1])
    for _ in range(LOOKS):
        with queue.consumer(1) as consumer:
            assert consumer.takes(1) == [1]
            consumer.closes_channel()


def test_an_ack_of_many_up_to_one_that_is_acked_closes_the_channel(
    amqp_url: str, namespace: str
) -> None:
    queue = Queue(amqp_url, f"{namespace}.lane")
    queue.holds([0, 1])
    with queue.consumer(2) as consumer:
        consumer.takes(2)
        consumer.acks(1)
        consumer.channel.basic_ack(2, multiple=True)
        consumer.turns_until(lambda: not consumer.channel.is_open)


def test_a_return_comes_before_its_confirm(amqp_url: str) -> None:
    with connected(amqp_url) as channel:
        channel.confirm_delivery()
        with pytest.raises(pika.exceptions.UnroutableError):
            channel.basic_publish("", "nobody-has-this-queue", b"", mandatory=True)


def test_an_exclusive_queue_is_a_lock(amqp_url: str, namespace: str) -> None:
    name = f"{namespace}.lock"
    with connected(amqp_url) as first, connected(amqp_url) as second:
        first.queue_declare(name, exclusive=True)
        with pytest.raises(ChannelClosedByBroker, match="405"):
            second.queue_declare(name, exclusive=True)


def test_a_queue_with_other_arguments_is_refused(amqp_url: str, namespace: str) -> None:
    Queue(amqp_url, f"{namespace}.lane")
    with pytest.raises(ChannelClosedByBroker, match="406"):
        Queue(amqp_url, f"{namespace}.lane", **{"x-delivery-limit": 5})


def test_before_4_3_a_reply_to_a_client_that_is_gone_closes_the_whole_connection(
    broker: Node, amqp_url: str
) -> None:
    with connected(amqp_url) as channel:
        channel.basic_publish("", "amq.rabbitmq.reply-to.g1h2AA.gone", b"")
        if since(broker, 4, 3):
            assert channel.queue_declare("", exclusive=True).method.queue
        else:
            with pytest.raises(AMQPConnectionError):
                until(lambda: channel.connection.process_data_events(0.1))


def test_another_users_name_on_a_message_closes_the_channel(amqp_url: str) -> None:
    with connected(amqp_url) as channel:
        channel.confirm_delivery()
        forged = pika.BasicProperties(user_id="somebody")
        with pytest.raises(ChannelClosedByBroker, match="406"):
            channel.basic_publish("", "any", b"", forged)


def test_a_full_queue_that_refuses_makes_the_whole_exchange_refuse(
    amqp_url: str, namespace: str
) -> None:
    exchange = f"{namespace}.events"
    with connected(amqp_url) as channel:
        channel.exchange_declare(exchange, "fanout", durable=True)
        full = {"x-max-length": 1, "x-overflow": "reject-publish"}
        for name, arguments in (("roomy", {}), ("full", full)):
            channel.queue_declare(f"{namespace}.{name}", durable=True, arguments=arguments)
            channel.queue_bind(f"{namespace}.{name}", exchange)
        channel.confirm_delivery()
        channel.basic_publish(exchange, "", b"")
        with pytest.raises(pika.exceptions.NackError):
            channel.basic_publish(exchange, "", b"")


def test_a_message_above_the_largest_size_closes_the_channel(
    broker: Node, amqp_url: str, namespace: str
) -> None:
    """16 MiB from 4.0 on; 128 MiB before, which `max_message_size` lowers."""
    queue = Queue(amqp_url, f"{namespace}.lane")
    with connected(amqp_url) as channel:
        channel.confirm_delivery()
        if not since(broker, 4, 0):
            channel.basic_publish("", queue.name, bytes(17 * 2**20))
        else:
            with pytest.raises((ChannelClosedByBroker, ConnectionClosedByBroker), match="406"):
                channel.basic_publish("", queue.name, bytes(17 * 2**20))
