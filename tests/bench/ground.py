"""What every section stands on: a broker of the run's own, the environments, and the options."""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ops.rabbitmq.node import Node
from tests.bench.api import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

BUILD = ROOT / "build" / "bench"
VENVS = {"ship": ROOT / "build" / "ship-venv", "peers": ROOT / "build" / "bench-venv"}


_MUCH_MEMORY = "vm_memory_high_watermark.absolute = {}".format(
    os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
)
"""Of RabbitMQ: a million waiting messages take about a gigabyte of its memory."""
_IN_EARNEST = 60.0
"""Seconds: the length that is asked for."""


@dataclass(frozen=True, slots=True)
class Options:
    """How much of it: the defaults make a full run of some 25 minutes."""

    rounds: int = 3
    messages: int = 6000
    """For FastStream with aiohttp; the others get as many more or fewer as they are faster."""
    seconds: float = _IN_EARNEST
    """How long each limit is tried, and how long idleness lasts."""
    long: bool = False
    """Whether the backlog goes up to a million."""
    quick: bool = False
    """Whether a minute has to do."""

    @property
    def is_trial(self) -> bool:
        """Whether this is only to see that all works: shorter in every section."""
        return self.seconds < _IN_EARNEST


@dataclass(frozen=True, slots=True)
class Ground:
    """A broker, a folder for what programs write, and a way to name things anew each time."""

    node: Node
    folder: Path
    options: Options
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def fresh(self, what: str) -> tuple[str, Path]:
        """A namespace that nobody has had, and a folder of that name."""
        name = f"bench-{os.getpid()}-{next(self._numbers)}-{what}"
        folder = self.folder / name
        folder.mkdir()
        return name, folder


@contextmanager
def ground(options: Options) -> Iterator[Ground]:
    """A broker for the length of the block, its data on the disk of the temporary folder."""
    for venv in VENVS.values():
        if not (venv / "bin" / "python").exists():
            sys.exit(f"{venv.relative_to(ROOT)} is not there: `make bench` makes it.")
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        broker = folder / "broker"
        broker.mkdir()
        with Node(broker, config=_MUCH_MEMORY) as node:
            yield Ground(node, folder, options)


def say(line: str) -> None:
    """Tell how far the run is, on stderr."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
