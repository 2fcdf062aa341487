"""How the worker is doing, asked from other threads: alive, ready, and the state of each lane."""

from __future__ import annotations

from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING

from worker.core.identity import NO_ACCOUNT
from worker.ops.lanes import lane_report
from worker.ops.metrics import Reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from worker.worker import Worker

LOOP_STOPPED_AFTER = 9.0
"""Seconds; with the time between two probes in mind, so that ten are not exceeded."""
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


def notes(worker: Worker) -> tuple[str, ...]:
    """What somebody should know of a worker that is ready all the same."""
    standing = tuple(note for note in (worker.suspects.trouble, _few_threads(worker)) if note)
    lanes = (
        f"left over: queue {worker.names.lane(name)}, {edits} edits in it; no account owns it"
        for name, edits in sorted(worker.leftover.items())
    )
    return (*standing, *lanes)


def _few_threads(worker: Worker) -> str | None:
    lanes = list(worker.lanes.values())
    if any(lane.threads_refused for lane in lanes):
        return "the system gives no more threads: calls are made by those there are"
    if any(lane.threads < lane.account.concurrency for lane in lanes):
        have = sum(min(lane.threads, lane.account.concurrency) for lane in lanes)
        wanted = sum(lane.account.concurrency for lane in lanes)
        return f"this process may have {have} of {wanted} threads for calls: accounts share them"
    return None


def lanes(worker: Worker) -> Mapping[str, object]:
    """Account to the state of its lane, as JSON."""
    now, wall = monotonic(), datetime.now(UTC)
    return {
        name: lane_report(lane, now=now, wall=wall) for name, lane in list(worker.lanes.items())
    }


def reading(worker: Worker) -> Reading:
    """What metrics tell of the process as a whole."""
    links = (worker.consuming, worker.publishing)
    return Reading(
        version=worker.version,
        ready=ready(worker) is None,
        settings_refused=worker.reload_failed,
        connected={link.name: link.trouble is None for link in links},
        reconnects={link.name: link.reconnects for link in links},
        blocked=worker.publishing.blocked is not None,
        confirms_outstanding=worker.publisher.outstanding,
        events_refused=worker.settler.events_refused,
        letters_refused=worker.settler.letters_refused,
        threads_short=_few_threads(worker) is not None,
        state_folder_usable=worker.suspects.trouble is None,
        subscribed=dict(_subscribed(worker)),
        strays=worker.strays.tally,
        lanes_left_over=len(worker.leftover),
    )


def summary(worker: Worker) -> str:
    """One line for `systemctl status`."""
    why = ready(worker)
    in_flight = sum(lane.in_flight for lane in list(worker.lanes.values()))
    return f"{len(worker.lanes)} accounts, {in_flight} calls in flight" if why is None else why


def _subscribed(worker: Worker) -> Iterator[tuple[str, bool]]:
    queues = {name: worker.names.lane(name) for name in list(worker.lanes)}
    for name, queue in (queues | {NO_ACCOUNT: worker.names.strays}).items():
        service = worker.services.get(queue)
        yield name, service is not None and service.consumer.trouble is None


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
    if worker.declarer.trouble is not None:
        yield f"topology: {worker.declarer.trouble}"
        return
    yield from (f"topology: {mismatch}" for mismatch in worker.declarer.mismatches)
    yield from (f"journal: {trouble}" for trouble in (worker.journal.trouble,) if trouble)
    unserved = [
        f"queue {queue}: {service.consumer.trouble}"
        for queue, service in list(worker.services.items())
        if service.consumer.trouble is not None
    ]
    if unserved and worker.member.trouble is not None:
        yield f"lanes wait to know which accounts are paused: {worker.member.trouble}"
    yield from unserved
