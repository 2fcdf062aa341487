"""Celery with threads: `celery -A tests.bench.peers.celery_app worker -P threads -c N …`.

- Quorum queues, and what they ask for:
  https://docs.celeryq.dev/en/stable/getting-started/backends-and-brokers/rabbitmq.html#using-quorum-queues
- `confirm_publish`, as there; py-amqp waits for each confirm.
- Late acks, results ignored, no remote control, no events:
  https://docs.celeryq.dev/en/stable/userguide/configuration.html
- A large prefetch for short tasks ("values like 50 or 150 might make sense"), a pool of broker
  connections as large as the number of threads that use them:
  https://docs.celeryq.dev/en/stable/userguide/optimizing.html
- Started without gossip, mingle and heartbeat, which cost and are not needed by one worker.

The optimised client in C that the same page names, librabbitmq, is out of the race: its last
release (2.0.0, source only) does not build on Python 3.11.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from celery import Celery
from kombu import Queue

from tests.bench.peers.blocking import Sessions
from tests.bench.peers.work import Work, setting

by = setting()
work, sessions = Work(by), Sessions()
app = Celery("bench", broker=by.amqp_url)
app.conf.update(
    task_queues=[Queue(by.queue, queue_arguments={"x-queue-type": "quorum"})],
    task_default_queue=by.queue,
    task_acks_late=True,
    task_ignore_result=True,
    broker_transport_options={"confirm_publish": True},
    broker_pool_limit=by.concurrency,
    broker_connection_retry_on_startup=True,
    worker_prefetch_multiplier=4,
    worker_enable_remote_control=False,
    worker_send_task_events=False,
)


@app.task(name="bench.edit", bind=True, rate_limit=by.rate or None)
def apply_edit(self: Any, document: dict[str, Any]) -> None:  # noqa: ANN401 (Celery has no types)
    """Do the work of one edit, and publish its event before Celery acks."""
    received_at = datetime.now(UTC)
    reply = sessions.posted(by.api_url, work.body(document), work.headers())
    event = work.event(document, self.request.id, received_at, reply)
    with app.producer_pool.acquire(block=True) as producer:
        producer.publish(
            event.body,
            exchange=event.exchange,
            routing_key=event.routing_key,
            content_type=event.content_type,
            content_encoding="binary",
            message_id=event.event_id,
            type=event.type,
            delivery_mode=2,
            mandatory=True,
        )
