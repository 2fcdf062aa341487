"""Hearing events as they happen, through a queue that goes with its connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import Callable

    from pika.channel import Channel
    from pika.connection import Connection
    from pika.spec import BasicProperties

    from worker.amqp.codec import WireProperties


def listen(
    connection: Connection,
    exchange: str,
    *,
    heard: Callable[[str | None, bytes], None],
    ready: Callable[[], None],
    closed: Callable[[Channel, Exception], None],
) -> None:
    """Tell `heard` the correlation id and body of each event that is published from now on.

    `ready` is called once none can be missed any more; `closed` when RabbitMQ will not have it.
    The queue is exclusive and named below the exchange, so that a user who may use the names
    of the namespace needs no permission for others.
    """
    queue = f"{exchange}.{uuid4().hex}"

    def opened(channel: Channel) -> None:
        channel.add_on_close_callback(closed)
        channel.queue_declare(
            queue,
            exclusive=True,
            auto_delete=True,
            callback=lambda _: channel.queue_bind(
                queue, exchange, "#", callback=lambda _: consume(channel)
            ),
        )

    def consume(channel: Channel) -> None:
        channel.basic_consume(queue, received, auto_ack=True, callback=lambda _: ready())

    def received(_: object, __: object, properties: BasicProperties, body: bytes) -> None:
        heard(cast("WireProperties", properties).core.correlation_id, body)

    connection.channel(on_open_callback=opened)
