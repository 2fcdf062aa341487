"""A thousand accounts: what one process, and four together, need for them."""

from __future__ import annotations

import json
import os
import signal
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import pika
import requests

from ops.rabbitmq.ports import free_port
from ops.simulator.control import Simulator
from schemas import Names
from tests.bench import queues, usage
from tests.bench.contestants import OURS, edit
from tests.bench.ground import say
from tests.bench.many import accounts_file, is_ready
from tests.bench.program import Setup, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.bench.ground import Ground

COURSES = ((1, 1), (100, 1), (1000, 1), (1000, 4))
"""Accounts in all, and processes that share them."""
RATE, EDITS = 1, 20
"""Calls a second of each account, and its edits."""
IDLE = 20.0
"""Seconds for which nothing is published."""
_READY_WITHIN = 180.0
_SLACK = 60.0
_LOOK_EVERY = 0.5


class _Process:
    """One worker and its accounts, with a namespace of its own."""

    def __init__(self, ground: Ground, simulator: Simulator, numbers: range) -> None:
        self.namespace, self.folder = ground.fresh("scale")
        self.numbers = numbers
        self.keys = [f"{self.namespace}-{each}" for each in numbers]
        for key in self.keys:
            simulator.account(key, f"secret-of-{key}", rate=f"{RATE}/s")
        self.port = free_port()
        self.file = accounts_file(self.folder, self.keys)
        more = (
            ("ACCOUNTS_FILE", str(self.file)),
            ("API_KEY", ""),
            ("API_SECRET", ""),
            ("OPS_ADDRESS", f"127.0.0.1:{self.port}"),
        )
        self.setup = Setup(
            ground.node.amqp_url, simulator.url, self.namespace, 16, f"{RATE}/s", more
        )
        self.pid = 0

    @property
    def declares(self) -> list[str]:
        """The queues that it declares."""
        names = Names(self.namespace)
        lanes = [names.lane(f"account-{each}") for each in range(len(self.keys))]
        return [*lanes, names.strays, names.dead, names.journal, names.control]

    def edits(self) -> Iterator[tuple[str, str, bytes, pika.BasicProperties]]:
        """Exchange, routing key, body and properties: an edit of each account in turn."""
        exchange = Names(self.namespace).exchange
        for each in range(EDITS):
            for account in range(len(self.keys)):
                app = f"app-{account}"
                properties = pika.BasicProperties(message_id=f"s-{account}-{each}", delivery_mode=2)
                yield exchange, app, json.dumps(edit(each, app=app)).encode(), properties


def measure(ground: Ground) -> dict[str, Any]:
    """A row for each number of accounts and processes."""
    courses = COURSES[:2] if ground.options.is_trial else COURSES
    return {"rate": RATE, "edits": EDITS, "rows": [_row(ground, *course) for course in courses]}


def _row(ground: Ground, accounts: int, processes: int) -> dict[str, Any]:
    url = ground.node.amqp_url
    with Simulator() as simulator, ExitStack() as stack:
        usage.undisturbed(simulator.pid)
        share = accounts // processes
        fleet = [
            _Process(ground, simulator, range(each * share, (each + 1) * share))
            for each in range(processes)
        ]
        declared = [name for one in fleet for name in one.declares]
        stack.enter_context(queues.declared(url, (), declared))
        begun = monotonic()
        for one in fleet:
            one.pid = stack.enter_context(running(OURS, one.setup, one.folder)).pid
        for one in fleet:
            queues.until(partial(is_ready, one.port), _READY_WITHIN, "every lane served")
        start = monotonic() - begun
        pids = [one.pid for one in fleet]
        resident = sum(map(usage.resident, pids))
        idle = _percent(pids, lambda: sleep(IDLE))
        reload = max(map(_reload, fleet))
        with queues.connected(url) as channel:
            for one in fleet:
                for exchange, key, body, properties in one.edits():
                    channel.basic_publish(exchange, key, body, properties)
        keys = [key for one in fleet for key in one.keys]
        load = _percent(pids, lambda: _until_applied(simulator, keys))
        sums = [found for key, found in simulator.summary().items() if key in set(keys)]
        row = {
            "accounts": accounts,
            "processes": processes,
            "start": start,
            "resident": resident,
            "peak": sum(map(usage.peak, pids)),
            "idle_percent": idle,
            "load_percent": load,
            "threads": sum(len(list(Path(f"/proc/{pid}/task").iterdir())) for pid in pids),
            "reload": reload,
            "applied": sum(each.applied for each in sums),
            "refused": sum(each.throttled for each in sums),
            "wanted": accounts * EDITS,
        } | _metrics(fleet)
    say(f"scale: {row}")
    return row


def _percent(pids: Sequence[int], wait: Callable[[], None]) -> float:
    """CPU of all while something is waited for, in percent of a core."""
    begun, before = monotonic(), sum(map(usage.cpu, pids))
    wait()
    return (sum(map(usage.cpu, pids)) - before) / (monotonic() - begun) * 100


def _metrics(fleet: Sequence[_Process]) -> dict[str, float]:
    """Bytes of the metrics pages together, and seconds until the slowest was whole."""
    pages = [[_page(one.port) for _ in range(3)] for one in fleet]
    return {
        "metrics": sum(each[-1][0] for each in pages),
        "metrics_seconds": max(median(seconds for _, seconds in each) for each in pages),
    }


def _page(port: int) -> tuple[int, float]:
    begun = monotonic()
    page = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=30)
    return len(page.content), monotonic() - begun


def _reload(one: _Process) -> float:
    """Seconds until an accounts file is adopted that says the first one's rate itself."""
    log = one.folder / "output.log"
    accounts_file(one.folder, one.keys, rate=f"{RATE}/s")
    begun = monotonic()
    os.kill(one.pid, signal.SIGHUP)
    queues.until(lambda: "settings_adopted" in log.read_text(), 60.0, "the settings adopted", 0.02)
    return monotonic() - begun


def _until_applied(simulator: Simulator, keys: Sequence[str]) -> None:
    """Until all edits are applied, or their time is well over."""
    until = monotonic() + EDITS / RATE + _SLACK
    while monotonic() < until:
        sums = simulator.summary()
        if all(key in sums and sums[key].applied >= EDITS for key in keys):
            return
        sleep(_LOOK_EVERY)
