"""Whether the number of edits that wait makes a difference: rate and memory.

One worker each, warm (its memory of events full), and idle while the queue is filled: the API
holds its replies back until all are there.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

from schemas import Names
from tests.bench import queues, usage
from tests.bench.api import serving
from tests.bench.contestants import OURS
from tests.bench.ground import say
from tests.bench.program import Setup, running
from tests.bench.race import FIRST, LAST
from worker.amqp.subscription import PREFETCH

if TYPE_CHECKING:
    from tests.bench.api import Api
    from tests.bench.ground import Ground

BACKLOGS = (1_000, 10_000, 100_000)
LONG = 1_000_000
WARM = 12_000
"""Above the number of events that a worker remembers (worker.core.dedup)."""
_ABOUT = 20_000
"""Messages in all for each backlog: a small one is filled several times."""
_TIMES_AT_MOST = 7
_SPEED = 1000.0
"""Messages a second at least: it bounds the time."""
_LOOK_EVERY = 0.001


def measure(ground: Ground) -> dict[str, Any]:
    """A row for each backlog."""
    backlogs = list(BACKLOGS)
    if ground.options.long:
        backlogs.append(LONG)
    if ground.options.is_trial:
        backlogs = backlogs[:2]
    rows = []
    for backlog in backlogs:
        rows.append(_row(ground, backlog))
        say(f"backlog: {rows[-1]}")
    return {"rows": rows}


def _row(ground: Ground, backlog: int) -> dict[str, Any]:
    namespace, folder = ground.fresh("backlog")
    names, url = Names(namespace), ground.node.amqp_url
    times = max(1, min(_TIMES_AT_MOST, _ABOUT // backlog))
    with serving() as api, queues.declared(url, OURS.objects(names)):
        setup = Setup(url, api.url, namespace, more=(("CALL_TIMEOUT", "600s"),))
        with running(OURS, setup, folder) as process:
            rates, cpus = [], []
            _emptied(ground, names, api, WARM)
            for _ in range(times):
                rate, cpu = _timed(ground, names, api, process.pid, backlog)
                rates.append(rate)
                cpus.append(cpu)
            return {
                "backlog": backlog,
                "rate": median(rates),
                "cpu": median(cpus),
                "resident": usage.resident(process.pid),
                "peak": usage.peak(process.pid),
            }


def _emptied(ground: Ground, names: Names, api: Api, count: int) -> None:
    """Have so many edits applied."""
    goal = api.board.calls + count
    messages = OURS.messages(names, count, start=api.board.calls)
    with queues.poured(ground.node.amqp_url, OURS.queue(names), messages):
        _until_applied(api, goal, count)


def _until_applied(api: Api, goal: float, count: int) -> None:
    """Wait until so many calls were made; how long at most depends on the `count` on the way."""
    queues.until(
        lambda: api.board.calls >= goal, 30 + count / _SPEED, f"{goal:.0f} calls", _LOOK_EVERY
    )


def _timed(ground: Ground, names: Names, api: Api, pid: int, count: int) -> tuple[float, float]:
    """Messages a second, and microseconds of CPU a message, from 10% to 90%."""
    start = api.board.calls
    api.board.held = True
    _waiting(ground, names, count, start)
    api.board.held = False
    marks = []
    for share in (FIRST, LAST, 1.0):
        _until_applied(api, start + count * share, count)
        marks.append(usage.mark(pid, api.board.calls, None))
    first, last, _ = marks
    done = last.done - first.done
    return done / (last.at - first.at), (last.cpu - first.cpu) / done * 1e6


def _waiting(ground: Ground, names: Names, count: int, start: int) -> None:
    """Have so many in the queue, those aside that the worker has been given (its prefetch)."""
    queue, messages = OURS.queue(names), OURS.messages(names, count, start=start)
    with queues.poured(ground.node.amqp_url, queue, messages) as channel:
        queues.until(
            lambda: queues.depth(channel, queue) >= count - PREFETCH,
            30 + count / _SPEED,
            f"{count} edits in {queue}",
        )
