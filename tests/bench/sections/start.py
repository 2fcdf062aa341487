"""From process start to the first edit applied; what it uses when idle; how large it is."""

from __future__ import annotations

import subprocess
from statistics import median
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from schemas import Names
from tests.bench import queues, usage
from tests.bench.api import serving
from tests.bench.contestants import OURS
from tests.bench.ground import VENVS, say
from tests.bench.program import Setup, running

if TYPE_CHECKING:
    from pathlib import Path

    from tests.bench.ground import Ground

STARTS = 7
_IDLE = 0.5
"""Of the option `seconds`: half a minute."""
_SETTLE = 3.0
_WITHIN = 30.0
_NOT_OURS = {"pip", "setuptools", "_distutils_hack", "pkg_resources", "distutils-precedence.pth"}
"""What every virtual environment has."""


def measure(ground: Ground) -> dict[str, Any]:
    """Seconds, percent, MiB."""
    starts = [_start(ground) for _ in range(3 if ground.options.is_trial else STARTS)]
    found = {
        "start": median(starts),
        "starts": starts,
        **_idle(ground),
        "installed": _installed(),
        "own": _own(),
    }
    say(f"start: {found}")
    return found


def _start(ground: Ground) -> float:
    """Seconds from the start of the process until the API has been called for a waiting edit."""
    namespace, folder = ground.fresh("start")
    names, url = Names(namespace), ground.node.amqp_url
    with serving() as api, queues.declared(url, OURS.objects(names)):
        queues.fill(url, OURS.queue(names), OURS.messages(names, 1))
        setup = Setup(url, api.url, namespace, rate="10/s")
        begun = monotonic()
        with running(OURS, setup, folder):
            queues.until(lambda: api.board.calls, _WITHIN, "a first call")
            return api.board.last - begun


def _idle(ground: Ground) -> dict[str, float]:
    """The worker with nothing to do, after a first edit: percent of a CPU, MiB."""
    namespace, folder = ground.fresh("idle")
    names, url = Names(namespace), ground.node.amqp_url
    with serving() as api, queues.declared(url, OURS.objects(names)):
        queues.fill(url, OURS.queue(names), OURS.messages(names, 1))
        with running(OURS, Setup(url, api.url, namespace, rate="10/s"), folder) as process:
            queues.until(lambda: api.board.calls, _WITHIN, "a first call")
            sleep(_SETTLE)
            begun, before = monotonic(), usage.cpu(process.pid)
            sleep(ground.options.seconds * _IDLE)
            spent = (usage.cpu(process.pid) - before) / (monotonic() - begun)
            return {"idle_percent": spent * 100, "idle_resident": usage.resident(process.pid)}


def _installed() -> float:
    """MiB of all that an installation brings with it, Python itself and pip aside."""
    return sum(_size(path) for path in _packages() if path.name.partition("-")[0] not in _NOT_OURS)


def _own() -> float:
    """MiB of that which is this project's."""
    return sum(_size(path) for path in _packages() if path.name in {"worker", "schemas"})


def _packages() -> list[Path]:
    [folder] = (VENVS["ship"] / "lib").glob("python3*/site-packages")
    return list(folder.iterdir())


def _size(path: Path) -> float:
    done = subprocess.run(("du", "-sk", str(path)), capture_output=True, text=True, check=True)
    return int(done.stdout.split()[0]) / 1024
