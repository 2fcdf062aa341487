"""A connection that RabbitMQ gives and that ends at once is not opened again and again."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from worker.amqp.link import LONGEST_WAIT, SHORTEST_WAIT, Link
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

    link = Link(
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
