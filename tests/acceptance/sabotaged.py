"""`taskedit run`, but SIGUSR2 breaks it in the way that SABOTAGE names, as a bug of ours might.

`python -m tests.acceptance.sabotaged run`
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from worker.cli import main
from worker.process import Process

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.app import Worker


def raises(_: Worker) -> None:
    """A callback of the I/O loop raises."""
    raise RuntimeError("sabotage")


def closes_channels(worker: Worker) -> None:
    """RabbitMQ closes every consumer's channel, for an ack of what was never delivered."""
    for service in worker.services.values():
        subscription = service.consumer._subscription  # noqa: SLF001
        assert subscription is not None
        subscription._channel.pika.basic_ack(2**40)  # noqa: SLF001


def closes_the_publisher(worker: Worker) -> None:
    """RabbitMQ closes the publisher's channel, for an exchange that there is not."""
    channel = worker.publisher._channel  # noqa: SLF001
    assert channel is not None
    channel.pika.basic_publish("no-such-exchange", "", b"")


WAYS: dict[str, Callable[[Worker], None]] = {
    "raises": raises,
    "closes_channels": closes_channels,
    "closes_the_publisher": closes_the_publisher,
}


def listening(start: Callable[..., None]) -> Callable[..., None]:
    """`Process.start` that also listens for SIGUSR2."""

    def started(self: Process) -> None:
        start(self)
        way = WAYS[os.environ["SABOTAGE"]]
        signal.signal(signal.SIGUSR2, lambda *_: self.worker.loop.post(lambda: way(self.worker)))

    return started


if __name__ == "__main__":
    Process.start = listening(Process.start)  # type: ignore[method-assign]
    main()
