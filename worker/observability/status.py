"""What the worker says of itself over HTTP: alive, ready, and the state of each lane.

Asked from the ops server's thread, while lanes work in theirs: a look copies what it needs and
never waits. No secrets, and nothing of a message's content.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from http import HTTPStatus
from time import monotonic
from typing import TYPE_CHECKING

import structlog

from worker.core.circuit import State
from worker.core.identity import NO_ACCOUNT
from worker.pipeline.counters import LaneCounters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from worker.app import Worker
    from worker.core.job_queue import JobQueue
    from worker.pipeline.lane import Lane


@dataclass(frozen=True, slots=True)
class Reading:
    """The process at one moment."""

    version: str
    ready: bool
    """As `/readyz` says."""
    settings_refused: bool
    """The last reload found settings that it could not use."""
    connected: Mapping[str, bool]
    """By the connection's name."""
    reconnects: Mapping[str, int]
    blocked: bool
    """RabbitMQ takes no publications."""
    confirms_outstanding: int
    events_refused: int
    """Events that went to the journal alone."""
    letters_refused: int
    """How often RabbitMQ would not take a dead letter; each is offered until it does."""
    threads_short: bool = False
    """The machine gives fewer threads than accounts ask for, or lacks what a call takes."""
    state_folder_usable: bool = True
    """Notes of what is being called outlive the process."""
    subscribed: Mapping[str, bool] = field(default_factory=dict)
    """Account to whether its queue is consumed, as a stand-by too; ``-`` for the strays."""
    left_over: Mapping[str, int] = field(default_factory=dict)
    """Lanes of no account that nobody consumes, as far as known, and the edits in each."""
    strays: LaneCounters = field(default_factory=LaneCounters)
    """Of the edits that belong to no account."""


log = structlog.get_logger()

PATHS = ("/livez", "/readyz", "/lanes", "/metrics")
_TEXT = "text/plain; charset=utf-8"
_JSON = "application/json"
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
_REQUEST = re.compile(rb"([A-Za-z]{1,20}) ([\x21-\x7e]{1,4000}) HTTP/1\.[0-9]\r?\n")


@dataclass(frozen=True, slots=True)
class Probes:
    """What can be asked of the worker.

    Each is called on the server's thread, so it must neither block nor wait for a lock: it has to
    answer when everything else is stuck.
    """

    live: Callable[[], str | None]
    """None when alive, else why not."""
    ready: Callable[[], str | None]
    """None when ready, else why not."""
    notes: Callable[[], tuple[str, ...]]
    """What to know of a worker that is ready all the same, a sentence each."""
    lanes: Callable[[], Mapping[str, object]]
    """JSON: account to the state of its lane."""
    metrics: Callable[[], bytes]
    """Prometheus' text format, version 0.0.4."""


def answer(head: bytes, probes: Probes) -> bytes:
    """The response to a request's first lines; trouble of any kind is a response too."""
    found = _REQUEST.match(head)
    if found is None:
        return refusal(HTTPStatus.BAD_REQUEST)
    method, path = found[1].decode(), found[2].decode().partition("?")[0]
    if method not in {"GET", "HEAD"}:
        return _response(HTTPStatus.METHOD_NOT_ALLOWED, _TEXT, b"GET or HEAD\n", "Allow: GET, HEAD")
    try:
        status, kind, body = _answer(path, probes)
    except Exception:
        log.exception("probe_failed", path=path)
        status, kind, body = HTTPStatus.INTERNAL_SERVER_ERROR, _TEXT, b"the probe itself failed\n"
    return _response(status, kind, body, with_body=method == "GET")


def refusal(status: HTTPStatus) -> bytes:
    """A response that only says what is wrong with the request."""
    return _response(status, _TEXT, f"{status.phrase}\n".encode())


def _answer(path: str, probes: Probes) -> tuple[HTTPStatus, str, bytes]:
    match path:
        case "/livez":
            return _health(probes.live())
        case "/readyz":
            return _health(probes.ready(), probes.notes())
        case "/lanes":
            text = json.dumps(probes.lanes(), indent=2, ensure_ascii=False, allow_nan=False)
            return HTTPStatus.OK, _JSON, text.encode(errors="backslashreplace") + b"\n"
        case "/metrics":
            return HTTPStatus.OK, _PROMETHEUS, probes.metrics()
        case _:
            return HTTPStatus.NOT_FOUND, _TEXT, "\n".join((*PATHS, "")).encode()


def _health(trouble: str | None, notes: tuple[str, ...] = ()) -> tuple[HTTPStatus, str, bytes]:
    status = HTTPStatus.OK if trouble is None else HTTPStatus.SERVICE_UNAVAILABLE
    lines = (trouble or "ok", *(f"note: {note}" for note in notes), "")
    return status, _TEXT, "\n".join(lines).encode(errors="backslashreplace")


def _response(
    status: HTTPStatus, kind: str, body: bytes, *more: str, with_body: bool = True
) -> bytes:
    lines = (
        f"HTTP/1.1 {status.value} {status.phrase}",
        f"Date: {formatdate(usegmt=True)}",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "Connection: close",
        *more,
        "\r\n",
    )
    return "\r\n".join(lines).encode() + (body if with_body else b"")


LOOKS = 5


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a lane holds at about this moment."""

    held: int
    """Delivered and not settled."""
    waiting: int
    """Delivered and not being called or settled."""
    oldest: float | None
    """Since when the longest held edit is held, in monotonic seconds."""


def snapshot(lane: Lane) -> Snapshot:
    """What `lane` holds; its own thread may be changing it meanwhile, and is not waited for."""
    held = len(lane.window)
    return Snapshot(held, max(0, held - lane.window.busy), _oldest(lane.window))


def _oldest(window: JobQueue) -> float | None:
    """Looking through what another thread changes can fail; at once again it hardly ever does."""
    for _ in range(LOOKS):
        try:
            return window.oldest()
        except (RuntimeError, IndexError):
            continue
    return None


MOST_STATUSES = 20


STANDS_BY = "nothing was delivered to this replica: another serves the lane, or it is empty"


def lane_report(
    lane: Lane, *, now: float, wall: datetime, trouble: str | None = None
) -> dict[str, object]:
    """A lane as JSON; times are RFC 3339 in UTC. Its fields are told in ops/docs/reference.md.

    `now` and `wall` are this very moment, in monotonic seconds and as an aware date-time;
    `trouble`: why its queue is not consumed, if it is not. Callable from any thread.
    """
    health, pause = lane.standing.health, lane.paused
    seen = snapshot(lane)

    def moment(monotonic: float | None) -> str | None:
        return None if monotonic is None else _shown(wall + timedelta(seconds=monotonic - now))

    learned = {
        "state": health.state.value,
        "why": health.why,
        "api_status": health.status,
        "since": moment(health.since),
    }
    remembered = None
    state, why, since = lane.state, health.why, learned["since"]
    until = moment(health.until)
    spent = lane.used_up(now)
    if pause is not None:
        why, since = pause.why, _shown(pause.at)
        until = None if pause.until is None else _shown(pause.until)
    elif not lane.is_open:
        state = "standby" if trouble is None else "disconnected"
        why, since, until = trouble or STANDS_BY, moment(lane.closed_at), None
        remembered = None if health.state is State.RUNNING else learned
    elif spent is not None and health.state is State.RUNNING:
        why, until = f"the limit {spent[0]} is used up", moment(spent[1])
    return {
        "state": state,
        "why": why,
        "api_status": health.status if lane.is_open else None,
        "since": since,
        "until": until,
        "remembered": remembered,
        "paused": pause
        and {"by": pause.actor, "why": pause.why, "until": pause.until and _shown(pause.until)},
        "open": lane.is_open,
        "draining": lane.draining,
        "in_flight": lane.in_flight,
        "waiting": seen.waiting,
        "held": seen.held,
        "unconfirmed": lane.unconfirmed,
        "oldest_held_since": moment(seen.oldest),
        "rate": ",".join(map(str, lane.account.rates)),
        "concurrency": lane.account.concurrency,
        "app_ids": sorted(lane.account.bounds.app_ids),
        **_counts(lane.tally, now, wall),
    }


def _counts(tally: LaneCounters, now: float, wall: datetime) -> dict[str, object]:
    """What was counted since the process started."""
    success, skew = tally.last_success, tally.skew(now)
    edits = {reason or outcome: count for (outcome, reason), count in dict(tally.outcomes).items()}
    return {
        "last_success": None
        if success is None
        else _shown(datetime.fromtimestamp(success, wall.tzinfo)),
        "clock_skew_seconds": None if skew is None else round(skew, 3),
        "edits": edits,
        "calls": dict(Counter(dict(tally.calls)).most_common(MOST_STATUSES)),
        "retries": tally.retries,
        "repeats": tally.repeats,
        "handed_on": tally.handed_on,
        "redeliveries": tally.redeliveries,
        "throttles": tally.throttles,
        "suspensions": tally.suspensions,
        "given_back": tally.give_backs,
    }


def _shown(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


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
    found = (worker.suspects.trouble, _few_threads(worker), _shortage(worker))
    standing = tuple(note for note in found if note)
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


def _shortage(worker: Worker) -> str | None:
    """What this machine lacks for calls."""
    found = next(filter(None, (lane.shortage for lane in list(worker.lanes.values()))), None)
    return found and f"this machine lacks what a call takes ({found}): it is made again and again"


def lanes(worker: Worker) -> Mapping[str, object]:
    """Account to the state of its lane, as JSON."""
    now, wall = monotonic(), datetime.now(UTC)
    return {
        name: lane_report(lane, now=now, wall=wall, trouble=_trouble(worker, name))
        for name, lane in list(worker.lanes.items())
    }


def _trouble(worker: Worker, account: str) -> str | None:
    """Why an account's queue is not consumed; None where it is, as a stand-by too."""
    service = worker.services.get(worker.names.lane(account))
    return "its queue is not consumed" if service is None else service.consumer.trouble


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
        threads_short=(_few_threads(worker) or _shortage(worker)) is not None,
        state_folder_usable=worker.suspects.trouble is None,
        subscribed=dict(_subscribed(worker)),
        strays=worker.strays.tally,
        left_over=dict(worker.leftover),
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
    yield from (f"topology: {mismatch}" for mismatch in worker.member.mismatches)
    yield from (f"journal: {trouble}" for trouble in (worker.journal.trouble,) if trouble)
    unserved = [
        f"queue {queue}: {service.consumer.trouble}"
        for queue, service in list(worker.services.items())
        if service.consumer.trouble is not None
    ]
    if unserved and worker.member.trouble is not None:
        yield f"lanes wait to know which accounts are paused: {worker.member.trouble}"
    yield from unserved
