"""`python -m tests.chaos --seconds 600 --seed 7 --rabbitmq 4.3`: a run, and its report."""

from __future__ import annotations

import random
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ops.rabbitmq import chroot, install
from ops.rabbitmq.cluster import Cluster
from ops.rabbitmq.node import Node
from tests.chaos.broker import PLUGINS, One, Three
from tests.chaos.plan import cuts, plan
from tests.chaos.run import PATIENCE, run
from tests.chaos.stage import Scene, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.chaos.broker import Broker
    from tests.chaos.plan import Plan
    from tests.chaos.report import Report

EARLY_ACK = ("-m", "tests.chaos.early_ack", "run")
AHEAD = (0.0, 7200.0, -7200.0)
"""Seconds by which the clocks of the first replicas are fast: they are hours apart."""
IMPATIENCE = 3.0
"""Seconds without an outcome that show a loss, when only the connections were cut."""


@click.command()
@click.option("--seconds", default=60.0, help="How long there are faults.")
@click.option("--seed", type=int, help="Of a run to be replayed; else one is drawn and printed.")
@click.option("--rabbitmq", type=click.Choice(chroot.VERSIONS), default="3.10", show_default=True)
@click.option("--cluster", is_flag=True, help="Three nodes instead of one.")
@click.option("--load", default=50.0, help="Edits a second.", show_default=True)
@click.option("--replicas", default=3, show_default=True)
@click.option("--control", is_flag=True, help="With a worker that acks too early: must lose edits.")
@click.option("--only", multiple=True, help="Faults of this name alone, as Kill; may be repeated.")
@click.option("--keep", type=click.Path(path_type=Path), help="Leave logs in this new folder.")
def main(
    *,
    seconds: float,
    seed: int | None,
    rabbitmq: str,
    cluster: bool,
    load: float,
    replicas: int,
    control: bool,
    only: tuple[str, ...],
    keep: Path | None,
) -> None:
    """Break everything around the worker for a while, and audit what became of every edit.

    Ends with 1 when a promise was broken (with --control: when no loss was seen).
    """
    seed = random.SystemRandom().randrange(1_000_000) if seed is None else seed
    root = chroot.of_rabbitmq(rabbitmq)
    install.ensure()
    scene = drawn(seed, replicas, load)
    if control:
        scene = replace(scene, command=EARLY_ACK, sleeper=(), ahead=())
    click.echo(f"seed {seed}")
    with tempfile.TemporaryDirectory(prefix="chaos-") as temporary:
        folder = keep or Path(temporary)
        (folder / "rabbit").mkdir(parents=True)
        with started(folder / "rabbit", root, cluster=cluster) as broker:
            if control:
                planned = cuts(seconds, replicas=replicas)
            else:
                planned = plan(
                    seed,
                    seconds,
                    replicas=replicas,
                    heartbeat=scene.beat,
                    rate=scene.rate,
                    load=load,
                    disasters=True,
                    only=only,
                )
            patience = IMPATIENCE if control else PATIENCE
            report = reported(broker, folder, scene, seed, planned, seconds, patience)
    click.echo(report)
    click.echo(f"seed {seed}: {', '.join(report.broken) or 'every promise was kept'}")
    sys.exit(int(not report.lost if control else bool(report.broken)))


def drawn(seed: int, replicas: int, load: float) -> Scene:
    """A scene whose jobs are few or many, and whose API is quick or slow."""
    chance = random.Random(f"scene {seed}")
    jobs, latency = chance.choice((6, 40, 400)), chance.choice((0.005, 0.04, 0.15))
    minute = chance.choice((None, None, round(90 * load)))
    sleeper = chance.choice((("monotonic",), ("monotonic", "boot")))
    return Scene(
        replicas=replicas,
        load=load,
        jobs=jobs,
        latency=latency,
        minute=minute,
        sleeper=sleeper,
        ahead=AHEAD,
    )


@contextmanager
def started(folder: Path, root: Path | None, *, cluster: bool) -> Iterator[Broker]:
    """RabbitMQ, running."""
    if cluster:
        with Cluster(folder, root=root, plugins=PLUGINS) as three:
            yield Three(three)
    else:
        with Node(folder, root=root, plugins=PLUGINS) as node:
            yield One(node)


def reported(
    broker: Broker,
    folder: Path,
    scene: Scene,
    seed: int,
    planned: Plan,
    seconds: float,
    patience: float,
) -> Report:
    """Carry the run out, and say meanwhile what is going on."""
    begun = time.monotonic()

    def tell(text: str) -> None:
        click.echo(f"{time.monotonic() - begun:6.1f} {text}", err=True)

    tell(f"RabbitMQ {broker.nodes[0].version}, {len(broker.nodes)} nodes, {scene}")
    with Stage(broker, folder, scene, seed) as stage:
        return run(stage, planned, seconds, tell=tell, patience=patience)


if __name__ == "__main__":
    main()
