"""`python -m tests.chaos.soak --edits 200000`: months in minutes, for what grows slowly.

Memory, threads, descriptors and connections of the worker after the first edits are compared
with those after the last. The outcomes that it keeps for an hour are not growth: they are counted
by their number, for all these edits are of one hour.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pika
import psutil

from ops.rabbitmq import chroot, install
from ops.rabbitmq.node import Node
from ops.simulator.control import Simulator
from tests.acceptance.kit import KEY, SECRET, WorkerProcess, connected, edit
from tests.chaos.names import NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pika.adapters.blocking_connection import BlockingChannel

AHEAD_AT_MOST = 3000
"""Edits published and not settled yet: enough for the worker never to wait for us."""
GROWTH_AT_MOST = 1.05
OUTCOME_BYTES = 100
"""Of an outcome that is kept (`worker/core/dedup.py`)."""
_LOOK_EVERY = 250
_TURN = 0.05
_LOOKS = 20
_PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Reading:
    """What the process takes of the machine, after so many edits."""

    edits: int
    seconds: float
    resident_kib: int
    threads: int
    descriptors: int
    connections: int


def soak(node: Node, folder: Path, edits: int, first: int, every: int) -> Iterator[Reading]:
    """A reading after the `first` edits, then after each `every`, the last after all of them."""
    with Simulator("--account", f"{KEY}:{SECRET}", "--rate", "100000/s") as simulator:
        simulator.answer("-5", share=0.01)  # some are tried again
        settings = {
            "AMQP_URL": node.amqp_url,
            "NAMESPACE": NAMESPACE,
            "API_URL": simulator.url,
            "API_KEY": KEY,
            "API_SECRET": SECRET,
            "RATE": "5000/s",
            "LOG_FORMAT": "json",
            "LOG_LEVEL": "warning",
        }
        environment = {f"TASKEDIT_{name}": value for name, value in settings.items()}
        with WorkerProcess(folder, environment) as worker:
            worker.ready(60)
            yield from _read(node, worker, range(first, edits + 1, every))


def _read(node: Node, worker: WorkerProcess, marks: range) -> Iterator[Reading]:
    begun = time.monotonic()
    with connected(node.amqp_url) as channel:
        feed = Feed(channel, worker)
        for mark in marks:
            feed.publish_up_to(mark)
            feed.wait_for(mark)
            yield _reading(worker, mark, time.monotonic() - begun)


@dataclass(slots=True)
class Feed:
    """Publishes edits no faster than the worker settles them."""

    channel: BlockingChannel
    worker: WorkerProcess
    published: int = 0

    def publish_up_to(self, mark: int) -> None:
        """Publish until there were so many."""
        while self.published < mark:
            if not self.published % _LOOK_EVERY:
                self.wait_for(self.published - AHEAD_AT_MOST)
            self._publish(self.published)
            self.published += 1

    def wait_for(self, settled: int) -> None:
        """Until the worker has settled so many."""
        deadline = time.monotonic() + _PATIENCE
        while sum(self.worker.lane()["edits"].values()) < settled:
            if time.monotonic() > deadline:
                raise AssertionError("the worker has stopped settling edits")
            self.channel.connection.sleep(_TURN)

    def _publish(self, number: int) -> None:
        """Ninety-eight good ones of a hundred, one invalid, one malformed."""
        fields = edit(1 + number % 5000, robotCount=int(number % 100 != 0))
        self.channel.basic_publish(
            NAMESPACE,
            "acme-app",
            b"{" if number % 100 == 1 else json.dumps(fields).encode(),
            pika.BasicProperties(message_id=f"s-{number}", delivery_mode=2),
        )


def _reading(worker: WorkerProcess, edits: int, seconds: float) -> Reading:
    """What it takes at rest: the least of some looks, for our own question holds a connection."""
    assert worker.process is not None
    process, looks = psutil.Process(worker.process.pid), []
    for _ in range(_LOOKS):
        time.sleep(_TURN)
        looks.append((process.num_fds(), len(process.net_connections())))
    descriptors, connections = min(looks)
    return Reading(
        edits,
        round(seconds, 1),
        process.memory_info().rss // 1024,
        process.num_threads(),
        descriptors,
        connections,
    )


def flaws(readings: list[Reading]) -> list[str]:
    """What has grown from the first reading to the last, in words."""
    first, last = readings[0], readings[-1]
    found = []
    outcomes_kib = (last.edits - first.edits) * OUTCOME_BYTES // 1024
    growth = (last.resident_kib - outcomes_kib) / first.resident_kib
    if growth > GROWTH_AT_MOST:
        found.append(f"resident memory has grown by {growth - 1:.1%}")
    for name in ("threads", "descriptors", "connections"):
        before, after = getattr(first, name), getattr(last, name)
        if before != after:
            found.append(f"{name} were {before} and are {after}")
    return found


def table(readings: list[Reading]) -> str:
    """The readings as a table in Markdown."""
    names = [field.name.replace("_kib", ", KiB") for field in fields(Reading)]
    rows = [names, ["---:"] * len(names), *(map(str, astuple(each)) for each in readings)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


@click.command()
@click.option("--edits", default=200_000, show_default=True)
@click.option("--first", default=20_000, show_default=True, help="When memory is first read.")
@click.option("--every", default=20_000, show_default=True)
@click.option("--rabbitmq", type=click.Choice(chroot.VERSIONS), default="3.10", show_default=True)
@click.option("--report", type=click.Path(path_type=Path), help="Write the table to this file.")
def main(*, edits: int, first: int, every: int, rabbitmq: str, report: Path | None) -> None:
    """Settle very many edits, and end with 1 if memory, threads or descriptors have grown."""
    root = chroot.of_rabbitmq(rabbitmq)
    install.ensure()
    readings: list[Reading] = []
    with tempfile.TemporaryDirectory(prefix="soak-") as temporary:
        folder = Path(temporary)
        (folder / "rabbit").mkdir()
        with Node(folder / "rabbit", root=root) as node:
            for reading in soak(node, folder, edits, first, every):
                readings.append(reading)
                click.echo(str(reading), err=True)
            version = node.version
    found = flaws(readings)
    flat = f"flat, within {GROWTH_AT_MOST - 1:.0%} of resident memory besides {OUTCOME_BYTES} bytes"
    verdict = "; ".join(found) or f"{flat} of each outcome, which are kept for an hour"
    text = f"# Soak: {edits} edits, RabbitMQ {version}\n\n{table(readings)}\n\n{verdict}\n"
    click.echo(text)
    if report is not None:
        report.write_text(text, encoding="utf-8")
    sys.exit(int(bool(found)))


if __name__ == "__main__":
    main()
