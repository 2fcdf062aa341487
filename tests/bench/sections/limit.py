"""How much of an account's limit is used, and how many calls are refused: ours, and Celery's.

The server (`ops.simulator`) is strict: no window of a second may hold more calls than the limit.
Each answer takes 50 ms and a jitter (exponential, 20 ms on average).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import sleep
from typing import TYPE_CHECKING, Any

from ops.simulator.control import Simulator
from schemas import Names
from tests.bench import queues
from tests.bench.contestants import CELERY, KEY, OURS, SECRET
from tests.bench.ground import say
from tests.bench.program import Setup, running

if TYPE_CHECKING:
    from ops.simulator.control import Summary
    from tests.bench.contestants import Contestant
    from tests.bench.ground import Ground

CONTESTANTS = (OURS, CELERY)
RATES = (20, 100, 500)
LITTLE = 100
"""Calls a second up to which both run side by side: neither takes a tenth of a core."""
LATENCY, JITTER = "50ms", "20ms"
_MORE = 1.2
"""As many edits as the limit allows and some more: it is the limit that ends it, not the queue."""
_STARTS_WITHIN = 30.0


def measure(ground: Ground) -> dict[str, Any]:
    """Rows of a contestant and a rate each."""
    rows: list[dict[str, Any]] = []
    for rate in RATES:
        at_once = len(CONTESTANTS) if rate <= LITTLE else 1
        with ThreadPoolExecutor(at_once) as pool:
            rows += pool.map(partial(_tried, ground, rate), CONTESTANTS)
        say(f"limit: {rows[-len(CONTESTANTS) :]}")
    rows.sort(key=lambda row: row["contestant"], reverse=True)
    return {"seconds": ground.options.seconds, "rows": rows}


def _tried(ground: Ground, rate: int, contestant: Contestant) -> dict[str, Any]:
    namespace, folder = ground.fresh(contestant.name)
    names, url = Names(namespace), ground.node.amqp_url
    seconds = ground.options.seconds
    with (
        Simulator("--account", f"{KEY}:{SECRET}", "--rate", f"{rate}/s") as simulator,
        queues.declared(url, contestant.objects(names), contestant.others(names)),
    ):
        simulator.latency(LATENCY, JITTER, shape="exponential")
        queue = contestant.queue(names)
        queues.fill(url, queue, contestant.messages(names, int(rate * seconds * _MORE) + 50))
        setup = Setup(url, simulator.url, namespace, concurrency=_enough(rate), rate=f"{rate}/s")
        with running(contestant, setup, folder):
            queues.until(lambda: _sums(simulator), _STARTS_WITHIN, "a first call")
            sleep(seconds)
            found = _sums(simulator)
    assert found is not None
    return {
        "contestant": contestant.title,
        "rate": rate,
        "used": found.used or 0.0,
        "calls": found.calls,
        "refused": found.throttled,
        "overlaps": found.overlaps,
        "fullest": found.peak_admitted,
    }


def _enough(rate: int) -> int:
    """Calls in flight that the limit may need: twice what the usual latency asks for."""
    return max(16, int(rate * 0.07 * 2))


def _sums(simulator: Simulator) -> Summary | None:
    return simulator.summary().get(KEY)
