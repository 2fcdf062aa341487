"""A worker that is stuck says so to whoever may end it."""

from __future__ import annotations

import signal
import socket
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.kit import KEY, SECRET, WorkerProcess, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Supervisor:
    """What systemd hears, and when."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)
        self._fed = 0.0

    def hungry_for(self) -> float:
        """Seconds since the watchdog was fed last."""
        while True:
            try:
                said = self._socket.recv(4096)
            except BlockingIOError:
                return monotonic() - self._fed
            if b"WATCHDOG=1" in said.splitlines():
                self._fed = monotonic()

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    listening = Supervisor(tmp_path / "notify")
    yield listening
    listening.close()


@pytest.fixture
def worker(
    amqp_url: str, namespace: str, tmp_path: Path, supervisor: Supervisor
) -> Iterator[WorkerProcess]:
    environment = {
        "TASKEDIT_AMQP_URL": amqp_url,
        "TASKEDIT_NAMESPACE": namespace,
        "TASKEDIT_API_KEY": KEY,
        "TASKEDIT_API_SECRET": SECRET,
        "NOTIFY_SOCKET": str(supervisor.path),
        "WATCHDOG_USEC": "30000000",
    }
    hooked = ("-m", "tests.acceptance.stoppable", "run")
    with WorkerProcess(tmp_path, environment, arguments=hooked) as started:
        started.ready()
        yield started


def test_an_io_thread_that_stands_still_is_told_by_livez_and_starves_the_watchdog(
    worker: WorkerProcess, supervisor: Supervisor
) -> None:
    assert worker.asked("/livez")[0] == 200
    until(lambda: supervisor.hungry_for() < 2)
    worker.signal(signal.SIGUSR2)
    until(lambda: worker.asked("/livez")[0] == 503, 10)
    assert "the I/O loop has not turned" in worker.asked("/livez")[1]
    until(lambda: supervisor.hungry_for() > 3, 10, "the watchdog is still fed")
    for path in ("/metrics", "/lanes", "/readyz"):
        assert worker.asked(path)[0] in {200, 503}, "the probes answer when all else is stuck"
