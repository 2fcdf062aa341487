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

AT_ONCE = 64
"""Calls in flight, of the worker and of the call alone: many threads cost more than one."""
SCENES = (("0", 0.0, AT_ONCE), ("50", 0.05, AT_ONCE), ("one", 0.0, 1))
"""Name, the API's latency, threads; the last one for comparison only."""
_WITHIN = 120.0


def measure(ground: Ground) -> dict[str, Any]:
    """Medians over the rounds: each part and the worker, in turn."""
    messages = ground.options.messages
    laps: dict[str, list[Any]] = {"0": [], "50": []}
    found: list[dict[str, float]] = []
    scenes = SCENES[:1] if ground.options.quick else SCENES
    for number in range(ground.options.rounds):
        parts = {"relay": _relay(ground, messages * 2)}
        for name, latency, threads in scenes:
            parts |= _calls(name, latency, threads, messages)
            if name in laps:
                count = messages if latency else messages * 3
                laps[name].append(lap(ground, OURS, Course(count, latency, AT_ONCE)))
        found.append(parts)
        say(f"floor, round {number + 1}: {parts}")
    parts = {name: median(each[name] for each in found) for name in found[0]}
    workers = {name: row(typical(of)) for name, of in laps.items() if of}
    return {"parts": parts, "workers": workers, "at_once": AT_ONCE}


def _calls(name: str, latency: float, threads: int, messages: int) -> dict[str, float]:
    """Microseconds of CPU a call, by our client and by the stock adapter."""
    with serving(latency) as api:
        called = _said("calls", api.url, str(messages), str(threads))
    return {f"{which}_{name}": cost for which, cost in called.items()}


def _relay(ground: Ground, count: int) -> float:
    namespace, _ = ground.fresh("relay")
    names, url = Names(namespace), ground.node.amqp_url
    queue = OURS.queue(names)
    with queues.declared(url, OURS.objects(names)):
        queues.fill(url, queue, OURS.messages(names, count))
        return _said("relay", url, queue, names.events, str(count))["relay"]


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
