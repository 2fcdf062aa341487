"""What more replicas bring: thirty accounts without a limit, served by one process and by three.

On RabbitMQ 4.0, which spreads the lanes. API, broker and replicas share the machine, so what each
takes of it is told apart: where its processors are used up, a replica more cannot bring any more.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Any

import requests

from ops.rabbitmq import chroot
from ops.rabbitmq.node import Node
from ops.rabbitmq.ports import free_port
from schemas import Names
from tests.bench import queues, usage
from tests.bench.api import serving
from tests.bench.contestants import OURS, edit, plain_message
from tests.bench.ground import say
from tests.bench.many import accounts_file, is_ready
from tests.bench.program import Setup, running

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.bench.api import Api
    from tests.bench.ground import Ground
    from tests.bench.queues import Message

REPLICAS = (1, 3)
ACCOUNTS, JOBS = 30, 100
FIRST, LAST = 0.4, 0.9
"""The share of the calls between which is measured: all has been published, all are at work."""
_READY_WITHIN = 60.0
_ENDS_WITHIN = 120.0
_LOOK_EVERY = 0.01


def measure(ground: Ground) -> dict[str, Any]:
    """A row for each number of replicas: the median round by its rate."""
    rounds = min(ground.options.rounds, 3)
    count = ground.options.messages * 5
    folder = ground.folder / "replicas-broker"
    folder.mkdir()
    with Node(folder, root=chroot.of_rabbitmq("4.0")) as node:
        on = replace(ground, node=node)
        found: dict[int, list[dict[str, Any]]] = {number: [] for number in REPLICAS}
        for _ in range(rounds):
            for number, rows in found.items():
                rows.append(_row(on, number, count))
    rows = [sorted(rows, key=lambda row: row["rate"])[len(rows) // 2] for rows in found.values()]
    return {"accounts": ACCOUNTS, "cores": os.cpu_count(), "rows": rows}


def _row(ground: Ground, number: int, count: int) -> dict[str, Any]:
    namespace, folder = ground.fresh("replicas")
    names, url = Names(namespace), ground.node.amqp_url
    keys = [f"key-{each}" for each in range(ACCOUNTS)]
    file = str(accounts_file(folder, keys))
    lanes = [names.lane(f"account-{each}") for each in range(ACCOUNTS)]
    others = [*lanes, names.strays, names.dead, names.journal, names.control]
    ports = [free_port() for _ in range(number)]
    with serving() as api, queues.declared(url, (), others), ExitStack() as stack:
        pids = []
        for each, port in enumerate(ports):
            own = folder / f"replica-{each}"
            own.mkdir()
            more = (
                ("ACCOUNTS_FILE", file),
                ("API_KEY", ""),
                ("API_SECRET", ""),
                ("REPLICA", f"replica-{each}"),
                ("OPS_ADDRESS", f"127.0.0.1:{port}"),
            )
            setup = Setup(url, api.url, namespace, concurrency=16, more=more)
            pids.append(stack.enter_context(running(OURS, setup, own)).pid)
        queues.until(lambda: all(map(is_ready, ports)), _READY_WITHIN, "every replica ready")
        with queues.connected(url) as channel:
            for routing_key, (body, properties) in _edits(count):
                channel.basic_publish(names.exchange, routing_key, body, properties)
            first = _at(ground, api, pids, count * FIRST)
            last = _at(ground, api, pids, count * LAST)
        served = [_served(port) for port in ports]
    done, seconds = last["calls"] - first["calls"], last["at"] - first["at"]
    row = {
        "replicas": number,
        "rate": done / seconds,
        "served": served,
        "busy": sum(last[who] - first[who] for who in ("ours", "broker", "api")) / seconds,
    } | {who: (last[who] - first[who]) / done * 1e6 for who in ("ours", "broker", "api")}
    say(f"replicas: {row}")
    return row


def _edits(count: int) -> Iterator[tuple[str, Message]]:
    """Routing key and message: an edit of each account in turn."""
    for number in range(count):
        app = f"app-{number % ACCOUNTS}"
        fields = edit(number // ACCOUNTS, jobs=JOBS, app=app)
        yield app, plain_message(fields, f"r-{number}", "")


def _served(port: int) -> int:
    """How many lanes the replica behind this port serves."""
    lanes = requests.get(f"http://127.0.0.1:{port}/lanes", timeout=5).json()
    return sum(lane["open"] for lane in lanes.values())


def _at(ground: Ground, api: Api, pids: Sequence[int], calls: float) -> dict[str, float]:
    """Clock, calls and seconds of CPU of each, once so many calls were made."""
    queues.until(lambda: api.board.calls >= calls, _ENDS_WITHIN, f"{calls:.0f} calls", _LOOK_EVERY)
    return {
        "at": monotonic(),
        "calls": api.board.calls,
        "ours": sum(map(usage.cpu, pids)),
        "broker": usage.cpu(ground.node.pid or 0),
        "api": usage.cpu(api.pid),
    }
