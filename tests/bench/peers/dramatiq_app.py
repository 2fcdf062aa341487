"""Dramatiq: `dramatiq tests.bench.peers.dramatiq_app --processes 1 --threads N`.

- Acks are late always; `confirm_delivery` waits for each confirm:
  https://dramatiq.io/reference.html#dramatiq.brokers.rabbitmq.RabbitmqBroker
- Only the middleware that is needed, which the documentation allows for:
  https://dramatiq.io/advanced.html#customizing-middleware
- Prefetch: twice the threads, its own default.
- Its broker declares classic queues; a subclass makes them quorum queues, as was proposed in
  https://github.com/Bogdanp/dramatiq/pull/869
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import dramatiq
from dramatiq.brokers.rabbitmq import (
    RabbitmqBroker,
)
from dramatiq.middleware import CurrentMessage

from tests.bench.peers.blocking import Sessions, properties
from tests.bench.peers.work import Work, setting


class QuorumBroker(RabbitmqBroker):
    """Declares quorum queues."""

    def _build_queue_arguments(self, queue_name: str) -> dict[str, Any]:
        return {**super()._build_queue_arguments(queue_name), "x-queue-type": "quorum"}


by = setting()
work, sessions = Work(by), Sessions()
broker = QuorumBroker(url=by.amqp_url, confirm_delivery=True, middleware=[CurrentMessage()])
dramatiq.set_broker(broker)


@dramatiq.actor(actor_name="bench.edit", queue_name=by.queue)
def apply_edit(document: dict[str, Any]) -> None:
    """Do the work of one edit, and publish its event before Dramatiq acks."""
    received_at = datetime.now(UTC)
    message_id = CurrentMessage.get_current_message().message_id
    reply = sessions.posted(by.api_url, work.body(document), work.headers())
    event = work.event(document, message_id, received_at, reply)
    broker.channel.basic_publish(  # the thread's own, in confirm mode
        event.exchange, event.routing_key, event.body, properties(event), mandatory=True
    )
