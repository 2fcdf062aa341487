"""Lanes unbound from what is not theirs any more, and former lanes looked at.

Each question has a channel of its own, so that a refusal disturbs no lane.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.amqp.session import NOT_FOUND, ChannelClosedError, channel_of

if TYPE_CHECKING:
    from pika.connection import Connection

    from worker.amqp.topology import Binding


async def unbind(connection: Connection, binding: Binding) -> None:
    """Undo a binding; a queue that is not there has none. Raises `ChannelClosedError`."""
    channel = await channel_of(connection)
    await channel.call("queue_unbind", binding.queue, binding.exchange, binding.key)
    channel.close()


async def counts(connection: Connection, queue: str) -> tuple[int | None, int]:
    """How many messages wait in a queue (None: there is no such queue), and how many consumers.

    Raises `ChannelClosedError`.
    """
    channel = await channel_of(connection)
    try:
        found = await channel.counts(queue)
    except ChannelClosedError as error:
        if error.code != NOT_FOUND:
            raise
        return None, 0
    channel.close()
    return found
