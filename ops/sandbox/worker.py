"""A worker for the demo or the sandbox: a process as an operator would run it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import sys
import time
from contextlib import contextmanager
from datetime import timedelta
from typing import IO, TYPE_CHECKING, Any, Final

from ops.rabbitmq.guard import Guarded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

READY_IN: Final = 20.0
ENDED_IN: Final = timedelta(seconds=20)


class TroubleError(Exception):
    """It cannot go on; the message is a sentence for people."""


class Worker:
    """`taskedit run`, and what it tells on its own HTTP port."""

    def __init__(self, process: Guarded, port: int) -> None:
        """Use `running`."""
        self._process = process
        self._port = port

    @property
    def ended(self) -> bool:
        """Whether the process is gone."""
        return self._process.status is not None

    def lanes(self) -> dict[str, Any]:
        """`/lanes`: the state of each account."""
        found: dict[str, Any] = json.loads(self._get("/lanes")[1])
        return found

    def await_readiness(self) -> None:
        """Return once `/readyz` says so; TroubleError when it does not."""
        deadline, why = time.monotonic() + READY_IN, "it does not answer"
        while time.monotonic() < deadline:
            if self.ended:
                raise TroubleError("the worker ended")
            try:
                status, why = self._get("/readyz")
            except OSError:
                status = 0
            if status == http.client.OK:
                return
            time.sleep(0.05)
        raise TroubleError(f"the worker is not ready after {READY_IN:.0f} s: {why}")

    def end(self) -> bool:
        """Ask it to end, as a supervisor does; whether it did, with everything settled."""
        self._process.signal(signal.SIGTERM)
        return self._process.ended(ENDED_IN) and self._process.status == 0

    def _get(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
        try:
            connection.request("GET", path)
            reply = connection.getresponse()
            return reply.status, reply.read().decode()
        finally:
            connection.close()


@contextmanager
def running(
    settings: Mapping[str, str], port: int, folder: Path, output: IO[bytes]
) -> Iterator[Worker]:
    """A worker that is ready; killed at the end if it has not ended before.

    It has `settings` (TASKEDIT_…) and no other of this environment's, answers on `port`, keeps its
    notes below `folder` and logs to `output`.
    """
    environment = {
        **without_settings(os.environ),
        "TASKEDIT_STATE_DIR": str(folder / "state"),
        "TASKEDIT_OPS_ADDRESS": f"127.0.0.1:{port}",
        **settings,
    }
    command = [sys.executable, "-m", "worker", "run"]
    process = Guarded.started(command, environment=environment, folder=folder, output=output)
    worker = Worker(process, port)
    try:
        worker.await_readiness()
        yield worker
    finally:
        if not worker.ended:
            process.kill()


def without_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment less every TASKEDIT_… variable, which may be meant for a real worker."""
    return {name: each for name, each in environ.items() if not name.startswith("TASKEDIT_")}
