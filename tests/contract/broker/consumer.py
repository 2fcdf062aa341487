"""A consumer of a queue that can leave in every way there is."""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pika
from pika.exceptions import AMQPError, ConnectionClosedByClient

from tests.acceptance.kit import connected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

PATIENCE = 10.0
_TURN = 0.02


class Consumer:
    """Takes up to `prefetch` deliveries and keeps them; `got` are their numbers, in order."""

    def __init__(self, url: str, queue: str, prefetch: int) -> None:
        self.connection = pika.BlockingConnection(pika.URLParameters(url))
        self.channel = self.connection.channel()
        self.channel.basic_qos(prefetch_count=prefetch)
        self.got: list[int] = []
        self.redelivered: list[int] = []
        self._queue = queue
        self._tags: dict[int, int] = {}
        self._name = self.channel.basic_consume(queue, self._received)

    def _received(self, _: object, method: Any, __: object, body: bytes) -> None:  # noqa: ANN401
        number = int(body)
        self.got.append(number)
        self._tags[number] = method.delivery_tag
        if method.redelivered:
            self.redelivered.append(number)

    def takes(self, count: int) -> list[int]:
        """What it has, once it has so many; fails if that takes too long."""
        self.turns_until(lambda: len(self.got) >= count)
        return self.got

    def turns_until(self, condition: Callable[[], bool]) -> None:
        """Let it receive until `condition` holds."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, f"has only {self.got}"
            self.connection.process_data_events(_TURN)

    def acks(self, *numbers: int, settling: float = 0.0) -> None:
        """Ack these, and stay for `settling` seconds."""
        for number in numbers:
            self.channel.basic_ack(self._tags[number])
        self.connection.process_data_events(settling)

    def cancels_then_nacks(self) -> None:
        """End the subscription, then return everything by one nack."""
        self.channel.basic_cancel(self._name)
        self.channel.basic_nack(0, multiple=True, requeue=True)
        self.connection.process_data_events(0)

    def nacks_then_cancels(self) -> None:
        """Return everything by one nack, and end the subscription at once."""
        self.channel.basic_nack(0, multiple=True, requeue=True)
        self.channel.basic_cancel(self._name)

    def closes_channel(self) -> None:
        """`Channel.Close` with no cancel before it, which pika's own close would send."""
        channel = self.channel
        channel._cancel_all_consumers = _keep  # type: ignore[attr-defined]  # noqa: SLF001
        channel._impl.basic_cancel = _keep  # type: ignore[attr-defined]  # noqa: SLF001
        channel.close()

    def closes_connection(self) -> None:
        """`Connection.Close` with neither a cancel nor a `Channel.Close` before it."""
        impl = self.connection._impl  # type: ignore[attr-defined]  # noqa: SLF001
        impl._error = ConnectionClosedByClient(200, "done")  # noqa: SLF001
        impl._send_connection_close(200, "done")  # noqa: SLF001
        with suppress(ConnectionClosedByClient):
            self.turns_until(lambda: self.connection.is_closed)

    def closes_as_pika_does(self) -> None:
        """Cancel, then `Channel.Close`."""
        self.channel.close()


def _keep(*_: object, **__: object) -> None:
    """Cancel nothing."""


class Queue:
    """A quorum queue with a single active consumer, and numbers published to it."""

    def __init__(self, url: str, name: str, **arguments: object) -> None:
        self.url = url
        self.name = name
        with connected(url) as channel:
            given = {"x-queue-type": "quorum", "x-single-active-consumer": True, **arguments}
            channel.queue_declare(name, durable=True, arguments=given)

    def holds(self, numbers: Iterable[int]) -> None:
        """Publish these, in order, each confirmed."""
        with connected(self.url) as channel:
            channel.confirm_delivery()
            for number in numbers:
                channel.basic_publish("", self.name, str(number).encode())

    @contextmanager
    def consumer(self, prefetch: int, url: str | None = None) -> Iterator[Consumer]:
        """A consumer that is gone afterwards, if it has not left before."""
        consumer = Consumer(url or self.url, self.name, prefetch)
        try:
            yield consumer
        finally:
            with suppress(AMQPError):
                consumer.connection.close()
