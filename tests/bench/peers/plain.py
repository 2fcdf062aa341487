"""A plain loop of pika and requests: one thread, one confirm a message.

As in pika's own examples of confirms and of acknowledgements
(https://pika.readthedocs.io/en/stable/examples/blocking_delivery_confirmations.html,
https://pika.readthedocs.io/en/stable/examples/blocking_consumer_generator.html), with a prefetch,
so that RabbitMQ never keeps it waiting for the next message.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pika

from tests.bench.peers.blocking import Sessions, properties
from tests.bench.peers.work import Work, setting


def main() -> None:
    """Consume until killed."""
    by = setting()
    work, sessions = Work(by), Sessions()
    connection = pika.BlockingConnection(pika.URLParameters(by.amqp_url))
    publisher = connection.channel()
    publisher.confirm_delivery()
    channel = connection.channel()
    channel.basic_qos(prefetch_count=by.concurrency)
    for method, had, body in channel.consume(by.queue):
        received_at = datetime.now(UTC)
        document = json.loads(body)
        reply = sessions.posted(by.api_url, work.body(document), work.headers())
        event = work.event(document, str(had.message_id), received_at, reply)
        publisher.basic_publish(
            event.exchange, event.routing_key, event.body, properties(event), mandatory=True
        )
        channel.basic_ack(method.delivery_tag or 0)


if __name__ == "__main__":
    main()
