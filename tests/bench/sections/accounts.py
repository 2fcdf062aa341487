"""Many accounts at once: each gets its rate, and one that hangs takes nothing from the others."""

from __future__ import annotations

import json
from statistics import median
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import pika

from ops.rabbitmq.ports import free_port
from ops.simulator.control import Simulator
from schemas import Names
from tests.bench import queues, usage
from tests.bench.contestants import OURS, edit
from tests.bench.ground import say
from tests.bench.many import accounts_file, is_ready
from tests.bench.program import Setup, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops.simulator.control import Summary
    from tests.bench.ground import Ground

NUMBERS = (1, 20, 200)
RATE, EDITS = 2, 50
"""Calls a second of each account, and its edits."""
LATENCY = "20ms"
_READY_WITHIN = 60.0
_SLACK = 15.0
_LOOK_EVERY = 0.5


def measure(ground: Ground) -> dict[str, Any]:
    """A row for each number of accounts, and one with an account whose calls never return."""
    numbers, edits = (NUMBERS[:2], EDITS // 5) if ground.options.is_trial else (NUMBERS, EDITS)
    rows = [_row(ground, number, edits, stalled=False) for number in numbers]
    rows.append(_row(ground, numbers[-1], edits, stalled=True))
    return {"rate": RATE, "edits": edits, "rows": rows}


def _row(ground: Ground, number: int, edits: int, *, stalled: bool) -> dict[str, Any]:
    namespace, folder = ground.fresh("accounts")
    names, url = Names(namespace), ground.node.amqp_url
    keys = [f"key-{each}" for each in range(number)]
    with Simulator() as simulator:
        usage.undisturbed(simulator.pid)
        for key in keys:
            simulator.account(key, f"secret-of-{key}", rate=f"{RATE}/s")
        simulator.latency(LATENCY)
        if stalled:
            simulator.fault("stall", account=keys[0])
        port = free_port()
        file = str(accounts_file(folder, keys))
        more = (("ACCOUNTS_FILE", file), ("OPS_ADDRESS", f"127.0.0.1:{port}"))
        setup = Setup(url, simulator.url, namespace, concurrency=16, rate=f"{RATE}/s", more=more)
        lanes = [names.lane(f"account-{each}") for each in range(number)]
        with (
            queues.declared(url, (), others=[*lanes, names.strays, names.dead, names.journal]),
            running(OURS, setup, folder) as process,
            queues.connected(url) as channel,
        ):
            queues.until(lambda: is_ready(port), _READY_WITHIN, "the worker ready")
            for routing_key, body, properties in _edits(number, edits):
                channel.basic_publish(names.exchange, routing_key, body, properties)
            begun, cpu = monotonic(), usage.cpu(process.pid)
            others = keys[1:] if stalled else keys
            _until_applied(simulator, others, edits)
            spent = (usage.cpu(process.pid) - cpu) / (monotonic() - begun)
            row = _sums(simulator.summary(), others, edits)
            row |= {
                "accounts": number,
                "stalled": stalled,
                "cpu_percent": spent * 100,
                "peak": usage.peak(process.pid),
            }
    say(f"accounts: {row}")
    return row


def _edits(number: int, edits: int) -> Iterator[tuple[str, bytes, pika.BasicProperties]]:
    """Routing key, body and properties: an edit of each account in turn, each of its own job."""
    for each in range(edits):
        for account in range(number):
            fields = edit(each, app=f"app-{account}")
            properties = pika.BasicProperties(
                message_id=f"a-{account}-{each}", delivery_mode=2, content_type="application/json"
            )
            yield f"app-{account}", json.dumps(fields).encode(), properties


def _until_applied(simulator: Simulator, keys: list[str], edits: int) -> None:
    """Until all edits of these accounts are applied, or their time is well over."""
    until = monotonic() + edits / RATE + _SLACK
    while monotonic() < until:
        sums = simulator.summary()
        if all(key in sums and sums[key].applied >= edits for key in keys):
            return
        sleep(_LOOK_EVERY)


def _sums(sums: dict[str, Summary], keys: list[str], edits: int) -> dict[str, Any]:
    """The rates that the accounts had, as shares of theirs."""
    shares = []
    for key in keys:
        found = sums.get(key)
        span = (found.last or 0.0) - (found.first or 0.0) if found else 0.0
        shares.append((found.calls - 1) / span / RATE if found and span else 0.0)
    seen = [sums[key] for key in keys if key in sums]
    return {
        "slowest": min(shares),
        "median": median(shares),
        "refused": sum(each.throttled for each in seen),
        "overlaps": sum(each.overlaps for each in seen),
        "applied": sum(each.applied for each in seen),
        "wanted": len(keys) * edits,
    }
