"""A connection that RabbitMQ gives and that ends at once is not opened again and again."""

from __future__ import annotations

import contextlib
import os
import resource
from datetime import timedelta
from typing import TYPE_CHECKING

from worker.amqp.connection import LONGEST_WAIT, SHORTEST_WAIT, KeptConnection
from worker.loop import Loop

if TYPE_CHECKING:
    from pika.connection import Connection

ENDS = 4


def test_connections_that_end_right_after_opening_are_opened_ever_more_seldom(
    amqp_url: str,
) -> None:
    loop, waits = Loop(), list[float]()

    class WaitsNoted(KeptConnection):
        async def pause(self, seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == ENDS:
                loop.stop()
            await super().pause(seconds)

    async def serve(connection: Connection) -> None:
        connection.close()

    link = WaitsNoted(
        loop, [amqp_url], "test", version="0", heartbeat=timedelta(seconds=5), serve=serve
    )
    loop.post(link.open)
    loop.run()

    least = [min(LONGEST_WAIT, SHORTEST_WAIT * 2**end) / 2 for end in range(1, ENDS + 1)]
    assert all(wait >= wanted for wait, wanted in zip(waits, least, strict=True))


def test_without_descriptors_a_connection_is_tried_again_until_there_are_some(
    amqp_url: str,
) -> None:
    loop, held = Loop(), list[int]()
    told: list[str] = []

    def look() -> None:
        if link.trouble and "Too many open files" in link.trouble:
            told.append(link.trouble)
            while held:
                os.close(held.pop())
        else:
            loop.call_later(0.01, look)

    async def end() -> None:
        await link.close()
        loop.stop()

    async def serve(_: Connection) -> None:
        loop.spawn(end())

    link = KeptConnection(
        loop, [amqp_url], "test", version="0", heartbeat=timedelta(seconds=5), serve=serve
    )
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, before[1]))
    try:
        with contextlib.suppress(OSError):
            while True:
                held.append(os.open(os.devnull, os.O_RDONLY))
        link.open()
        loop.post(look)
        loop.run()
    finally:
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)

    assert told
    assert link.trouble is not None
    assert "Too many open files" not in link.trouble
