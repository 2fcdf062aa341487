"""How the worker is doing, asked from other threads: alive, ready, and the state of each lane."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.worker import Worker

LOOP_STOPPED_AFTER = 10.0
LANE_STUCK_AFTER = 60.0


def live(worker: Worker) -> str | None:
    """None while the worker makes progress, or waits for broker, API, limit or a turn."""
    still = monotonic() - worker.loop.turned_at
    if still > LOOP_STOPPED_AFTER:
        return f"the I/O loop has not turned for {still:.0f} s"
    for name, lane in list(worker.lanes.items()):
        idle = monotonic() - lane.idle_since
        if idle > LANE_STUCK_AFTER:
            return f"account {name} has an edit that could be sent and was not for {idle:.0f} s"
    return None


def ready(worker: Worker) -> str | None:
    """None when subscribed (as a stand-by too) and able to publish; else every reason why not."""
    return "; ".join(_hindrances(worker)) or None


def _hindrances(worker: Worker) -> Iterator[str]:
    if worker.draining:
        yield "draining"
        return
    for link in (worker.consuming, worker.publishing):
        if link.trouble is not None:
            yield f"{link.name} connection: {link.trouble}"
    if worker.consuming.trouble is not None:
        return
    if worker.publishing.blocked is not None:
        yield f"RabbitMQ blocks publishing: {worker.publishing.blocked}"
    elif worker.publishing.trouble is None and not worker.publisher.is_open:
        yield "the publisher's channel is not open"
    if worker.foundation.trouble is not None:
        yield f"topology: {worker.foundation.trouble}"
        return
    yield from (f"topology: {mismatch}" for mismatch in worker.foundation.mismatches)
    for queue, service in list(worker.services.items()):
        if service.consumer.trouble is not None:
            yield f"queue {queue}: {service.consumer.trouble}"
