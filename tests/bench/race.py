"""One run of one contestant: a full queue, a start, and what it cost from 10% to 90% of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from statistics import median
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from schemas import Names
from tests.bench import journal, queues, usage
from tests.bench.api import serving
from tests.bench.program import EndedError, Setup, running

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence

    from tests.bench.api import Api
    from tests.bench.contestants import Contestant
    from tests.bench.ground import Ground

FIRST, LAST = 0.1, 0.9
"""The share of the messages between which is measured: neither start nor end."""
_LOOK_EVERY = 0.002
_STARTS_WITHIN = 30.0
_SETTLES_WITHIN = 5.0


@dataclass(frozen=True, slots=True)
class Course:
    """What is to be run: so many messages, against an API this slow."""

    count: int
    latency: float = 0.0
    """Seconds."""
    concurrency: int = 64
    jobs: int = 10_000
    size: int = 0
    """Bytes of each message, at least."""
    within: float = 40.0
    """Seconds after which a run is ended and taken as far as it has come."""


@dataclass(frozen=True, slots=True)
class Lap:
    """What one run has shown."""

    rate: float
    """Messages a second."""
    cpu: float
    """Microseconds of CPU (user and system) a message, of the contestant and its children."""
    broker_cpu: float
    """The same of RabbitMQ."""
    peak: float
    """MiB resident at most."""
    done: int
    """Calls answered in all."""
    missing: int = 0
    """Events that are not in the journal though their calls were made; has to be 0."""
    trouble: str = ""


def lap(ground: Ground, contestant: Contestant, course: Course) -> Lap:
    """Fill a queue, start the contestant, and watch it empty the queue."""
    namespace, folder = ground.fresh(contestant.name)
    names, url = Names(namespace), ground.node.amqp_url
    queue = contestant.queue(names)
    with (
        serving(course.latency) as api,
        queues.declared(url, contestant.objects(names), contestant.others(names)),
    ):
        queues.fill(
            url,
            queue,
            contestant.messages(names, course.count, jobs=course.jobs, size=course.size),
        )
        setup = Setup(url, api.url, namespace, course.concurrency)
        peak, trouble = 0.0, ""
        marks: list[usage.Mark] = []
        try:
            with running(contestant, setup, folder) as process:
                marks = watch(process, api, course, ground.node.pid)
                settled(ground, queue)
                peak = usage.peak(process.pid)
        except EndedError as ended:
            trouble = str(ended)
        events = journal.events(url, names)
        return _lap(marks, peak, api.board.calls - events, trouble)


def watch(
    process: subprocess.Popen[bytes], api: Api, course: Course, broker: int | None
) -> list[usage.Mark]:
    """Marks at 10% and 90% of the messages, or as far as it has come in time; and at the end."""
    until = monotonic() + _STARTS_WITHIN
    goals = [course.count * FIRST, course.count * LAST, course.count]
    marks: list[usage.Mark] = []
    while goals and process.poll() is None:
        now, done = monotonic(), api.board.calls
        if done and len(marks) == 0 and now + course.within > until:
            until = now + course.within
        if done >= goals[0] or now > until:
            marks.append(usage.mark(process.pid, done, broker))
            goals.pop(0)
            if now > until:
                break
        sleep(_LOOK_EVERY)
    return marks


def settled(ground: Ground, queue: str) -> None:
    """Wait until the queue has nothing to give any more: what is left is in flight at most."""
    until = monotonic() + _SETTLES_WITHIN
    with queues.connected(ground.node.amqp_url) as channel:
        while queues.depth(channel, queue) and monotonic() < until:
            sleep(0.05)


def _lap(marks: Sequence[usage.Mark], peak: float, missing: int, trouble: str) -> Lap:
    if len(marks) < 2:
        return Lap(0.0, 0.0, 0.0, peak, 0, missing, trouble or "it did not get going")
    first, last = marks[:2]
    done, seconds = last.done - first.done, last.at - first.at
    if done <= 0:
        return Lap(0.0, 0.0, 0.0, peak, last.done, missing, trouble or "it stood still")
    return Lap(
        rate=done / seconds,
        cpu=(last.cpu - first.cpu) / done * 1e6,
        broker_cpu=(last.broker_cpu - first.broker_cpu) / done * 1e6,
        peak=peak,
        done=marks[-1].done,
        missing=missing,
        trouble=trouble,
    )


def typical(laps: Sequence[Lap]) -> Lap:
    """The median of each figure; of trouble and of what is missing, all."""
    good = [each for each in laps if each.rate] or list(laps)
    middle = {
        name: median(getattr(each, name) for each in good)
        for name in ("rate", "cpu", "broker_cpu", "peak")
    }
    trouble = "; ".join(sorted({each.trouble for each in laps if each.trouble}))
    missing = sum(each.missing for each in laps)
    return replace(good[0], **middle, missing=missing, trouble=trouble)


def row(one: Lap) -> dict[str, Any]:
    """A lap to be saved."""
    return asdict(one)
