"""A connection that RabbitMQ gives and that ends at once is not opened again and again."""

from __future__ import annotations

import contextlib
import os
import resource
from datetime import timedelta
from typing import TYPE_CHECKING

from worker.amqp.connection import LONGEST_WAIT, SHORTEST_WAIT, KeptConnection
from worker.amqp.loop import PikaLoop

if TYPE_CHECKING:
    from collections.abc import Callable

    from pika.connection import Connection

ENDS = 4


class WaitsNoted(PikaLoop):
    """A loop that notes what `of` is to wait for."""

    def __init__(self) -> None:
        super().__init__()
        self.of: Callable[[], None] | None = None
        self.waits: list[float] = []

    def call_later(self, seconds: float, callback: Callable[[], None]) -> object:
        if callback == self.of:
            self.waits.append(seconds)
            if len(self.waits) == ENDS:
                self.stop()
        return super().call_later(seconds, callback)


def test_connections_that_end_right_after_opening_are_opened_ever_more_seldom(
    amqp_url: str,
) -> None:
    loop = WaitsNoted()

    def up(connection: Connection) -> None:
        connection.close()

    link = KeptConnection(
        loop,
        [amqp_url],
        "test",
        version="0",
        heartbeat=timedelta(seconds=5),
        up=up,
        down=lambda _: None,
    )
    loop.of = link.open
    link.open()
    loop.run()

    least = [min(LONGEST_WAIT, SHORTEST_WAIT * 2**end) / 2 for end in range(1, ENDS + 1)]
    assert all(wait >= wanted for wait, wanted in zip(loop.waits, least, strict=True))


def test_without_descriptors_a_connection_is_tried_again_until_there_are_some(
    amqp_url: str,
) -> None:
    loop, held = PikaLoop(), list[int]()
    told: list[str] = []

    def look() -> None:
        if link.trouble and "Too many open files" in link.trouble:
            told.append(link.trouble)
            while held:
                os.close(held.pop())
        else:
            loop.call_later(0.01, look)

    link = KeptConnection(
        loop,
        [amqp_url],
        "test",
        version="0",
        heartbeat=timedelta(seconds=5),
        up=lambda _: link.close(loop.stop),
        down=lambda _: None,
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
