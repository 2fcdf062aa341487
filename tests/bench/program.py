"""A contestant as a running process, ended by its own process id."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ops.rabbitmq.ports import free_port
from schemas import Names
from tests.bench.api import ROOT
from tests.bench.contestants import KEY, SECRET
from tests.bench.ground import VENVS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.bench.contestants import Contestant

_ENDS_WITHIN = 3.0
"""Seconds; nothing is in its hands any more by then, and Celery would take ten."""
_WORDS_AT_MOST = 2000


@dataclass(frozen=True, slots=True)
class Setup:
    """Where a contestant is to work, and how."""

    amqp_url: str
    api_url: str
    namespace: str
    concurrency: int = 64
    rate: str = ""
    """Such as `20/s`; empty for as fast as it goes."""
    more: tuple[tuple[str, str], ...] = ()
    """Further settings of ours, without the prefix."""


class EndedError(Exception):
    """The program ended by itself; its last words."""


@contextmanager
def running(
    contestant: Contestant, setup: Setup, folder: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """The contestant for the length of the block; `EndedError` if it had ended before it."""
    venv = VENVS[contestant.venv] / "bin"
    environment = _environment(contestant, setup, folder)
    output = folder / "output.log"
    with output.open("wb") as log:
        process = subprocess.Popen(
            contestant.arguments(venv, setup.concurrency),
            cwd=folder if contestant.is_ours else ROOT,
            env=environment | dict(contestant.environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process
        if process.poll() is not None:
            raise EndedError(f"{contestant.name} ended: {_last_words(output)}")
    finally:
        _end(process)


def _environment(contestant: Contestant, setup: Setup, folder: Path) -> dict[str, str]:
    common = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8"}
    if contestant.is_ours:
        return common | our_environment(setup, folder)
    said = {
        "AMQP_URL": setup.amqp_url,
        "API_URL": setup.api_url,
        "NAMESPACE": setup.namespace,
        "QUEUE": contestant.queue(Names(setup.namespace)),
        "CONCURRENCY": str(setup.concurrency),
        "RATE": setup.rate,
        "KEY": KEY,
        "SECRET": SECRET,
    }
    return common | {"PYTHONPATH": str(ROOT)} | {f"BENCH_{key}": to for key, to in said.items()}


def our_environment(setup: Setup, folder: Path) -> dict[str, str]:
    """The worker's settings: as it ships, but for the rate and the concurrency."""
    settings = {
        "AMQP_URL": setup.amqp_url,
        "API_URL": setup.api_url,
        "API_KEY": KEY,
        "API_SECRET": SECRET,
        "NAMESPACE": setup.namespace,
        "RATE": setup.rate or "999999/s",
        "CONCURRENCY": str(setup.concurrency),
        "STATE_DIR": str(folder / "state"),
        "OPS_ADDRESS": f"127.0.0.1:{free_port()}",
        "LOG_FORMAT": "json",
    }
    return {f"TASKEDIT_{key}": to for key, to in (settings | dict(setup.more)).items()}


def _end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM; and SIGKILL for whatever of its session is left after a while."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_ENDS_WITHIN)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _last_words(output: Path) -> str:
    return output.read_text(errors="replace")[-_WORDS_AT_MOST:]
