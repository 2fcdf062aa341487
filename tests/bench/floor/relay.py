"""Consume → publish with confirm → ack and nothing else, with the worker's own classes of pika.

`python -m tests.bench.floor.relay AMQP_URL QUEUE EXCHANGE COUNT` prints microseconds of CPU a
message, from 10% to 90% of them, as JSON. Run from the environment in which the worker ships.
"""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from time import perf_counter, process_time
from typing import TYPE_CHECKING

from worker.amqp import codec
from worker.amqp.connection import KeptConnection
from worker.amqp.consumer import Consumer
from worker.amqp.publisher import ConfirmedPublisher
from worker.core.message import PERSISTENT, Properties, Publication
from worker.loop import Loop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from pika.connection import Connection

    from worker.amqp.subscription import Subscription
    from worker.core.message import Delivery

EVENT = b"x" * 620
"""As long as an event is."""
PROPERTIES = Properties(
    content_type="application/cloudevents+json",
    delivery_mode=PERSISTENT,
    message_id="00000000-0000-5000-8000-000000000000",
    correlation_id="00000000-0000-4000-8000-000000000000",
    timestamp=1795000000,
    type="task-edit.applied.v1",
)


class Relay:
    """The two connections, and a count of what has gone through."""

    def __init__(self, url: str, queue: str, exchange: str, count: int) -> None:
        codec.install()
        self._url, self._exchange = url, exchange
        self._marks = {count // 10: (0.0, 0.0), count * 9 // 10: (0.0, 0.0)}
        self._done, self._count = 0, count
        self._loop = Loop()
        self._publisher = ConfirmedPublisher(self._loop)
        self._publishing = self._link("publish", self._publisher.serve)
        self._consuming = self._link("consume", self._consume)
        self._consumer = Consumer(
            self._loop,
            queue,
            (),
            passive=True,
            work=self._work,
            when_sent=self._consuming.services.when_sent,
        )

    def run(self) -> dict[str, float]:
        """Relay all; what it cost."""
        self._publishing.open()
        self._consuming.open()
        self._loop.run()
        (first, begin), (last, end) = sorted(self._marks.items())
        made = last - first
        return {
            "relay": (end[0] - begin[0]) / made * 1e6,
            "relay_rate": made / (end[1] - begin[1]),
        }

    def _link(
        self, name: str, serve: Callable[[Connection], Coroutine[None, None, None]]
    ) -> KeptConnection:
        return KeptConnection(
            self._loop,
            [self._url],
            name,
            version="bench",
            heartbeat=timedelta(seconds=5),
            serve=serve,
        )

    async def _consume(self, connection: Connection) -> None:
        await self._consumer.run(connection)

    async def _work(self, deliveries: Subscription) -> None:
        async for delivery in deliveries:
            self._loop.spawn(self._relay(delivery, deliveries))

    async def _relay(self, delivery: Delivery, deliveries: Subscription) -> None:
        event = Publication(self._exchange, "applied.LILIN888", EVENT, PROPERTIES)
        await self._publisher.publish(event)
        await deliveries.ack(delivery.tag)
        self._done += 1
        if self._done in self._marks:
            self._marks[self._done] = process_time(), perf_counter()
        if self._done == self._count:
            self._loop.stop()


def main() -> None:
    """The process."""
    url, queue, exchange, count = sys.argv[1:]
    print(json.dumps(Relay(url, queue, exchange, int(count)).run()))  # noqa: T201 (its result)


if __name__ == "__main__":
    main()
