"""FastStream: what its two variants share, the call aside.

- Prefetch bounds how many messages are handled at once; confirms are on (`publisher_confirms`):
  https://faststream.ag2.ai/latest/rabbit/prefetch/
- `NACK_ON_ERROR` acks after the handler and returns what failed:
  https://faststream.ag2.ai/latest/getting-started/acknowledgement/
- No casting by pydantic of what the schemas validate anyway (`serializer=None`):
  https://faststream.ag2.ai/latest/getting-started/subscription/#message-body-serialization
- No line a message (`logger=None`):
  https://faststream.ag2.ai/latest/getting-started/observability/logging/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from faststream.rabbit import (
    Channel,
    RabbitBroker,
    RabbitExchange,
    RabbitQueue,
)

from tests.bench.peers.work import Work, setting

if TYPE_CHECKING:
    from tests.bench.peers.work import Event

by = setting()
work = Work(by)
broker = RabbitBroker(
    by.amqp_url,
    default_channel=Channel(prefetch_count=by.concurrency),
    serializer=None,
    logger=None,
)
queue = RabbitQueue(by.queue, declare=False)
_events = RabbitExchange(by.names.events, declare=False)


async def publish(event: Event) -> None:
    """Publish an event; returns once RabbitMQ has confirmed it."""
    await broker.publish(
        event.body,
        exchange=_events,
        routing_key=event.routing_key,
        content_type=event.content_type,
        message_id=event.event_id,
        message_type=event.type,
        persist=True,
        mandatory=True,
    )
