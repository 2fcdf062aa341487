"""The worker's CPU a message against the sum of its parts, and against the stock adapter's."""

from __future__ import annotations

import json
import os
import subprocess
from statistics import median
from typing import TYPE_CHECKING, Any

from schemas import Names
from tests.bench import queues
from tests.bench.api import ROOT, serving
from tests.bench.contestants import OURS
from tests.bench.ground import VENVS, say
from tests.bench.race import Course, lap, row, typical

if TYPE_CHECKING:
    from tests.bench.ground import Ground

THREADS = (1, 16)
"""The floor is where a call is cheapest: one thread fights nobody for the interpreter's lock, many
of them find the next reply there already."""
_WITHIN = 120.0


def measure(ground: Ground) -> dict[str, Any]:
    """Medians over the rounds: each part, and the worker, in turn."""
    messages = ground.options.messages
    laps, found = [], []
    for number in range(ground.options.rounds):
        parts: dict[str, float] = {}
        with serving() as api:
            for threads in THREADS:
                called = _said("calls", api.url, str(messages), str(threads))
                parts |= {f"{name}_{threads}": cost for name, cost in called.items()}
        parts |= _relay(ground, messages * 2)
        found.append(parts)
        laps.append(lap(ground, OURS, Course(messages * 3)))
        say(f"floor, round {number + 1}: {parts} worker {laps[-1].cpu:.0f} µs")
    parts = {name: median(each[name] for each in found) for name in found[0]}
    own, stock = (min(parts[f"{name}_{threads}"] for threads in THREADS) for name in _CALLS)
    worker = typical(laps)
    return {
        "parts": parts,
        "own": own,
        "stock": stock,
        "relay": parts["relay"],
        "floor": own + parts["relay"],
        "stock_floor": stock + parts["relay"],
        "worker": row(worker),
    }


_CALLS = ("own", "stock")


def _relay(ground: Ground, count: int) -> dict[str, float]:
    namespace, _ = ground.fresh("relay")
    names, url = Names(namespace), ground.node.amqp_url
    queue = OURS.queue(names)
    with queues.declared(url, OURS.objects(names)):
        queues.fill(url, queue, OURS.messages(names, count))
        return _said("relay", url, queue, names.events, str(count))


def _said(part: str, *arguments: str) -> dict[str, float]:
    """What a part prints of itself."""
    python = VENVS["ship"] / "bin" / "python"
    done = subprocess.run(
        (python, "-m", f"tests.bench.floor.{part}", *arguments),
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        timeout=_WITHIN,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])  # the log is before it
    return found
