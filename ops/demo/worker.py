"""The worker of the demo: a process as an operator would run it, with two accounts."""

from __future__ import annotations

import http.client
import json
import os
import signal
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from ops.demo.messages import CARE, NOTIFY, SALES
from ops.rabbitmq.guard import Guarded
from ops.rabbitmq.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Client:
    """One of the two accounts, as the provider and the worker have it."""

    name: str
    key: str
    secret: str
    app_ids: tuple[str, ...]
    calls_a_second: int
    """The worker's limit: a little below the provider's, as an operator would set it."""
    allowed: int
    """The provider's limit, for any second."""


ACME: Final = Client("acme", "acme-key", "acme-s3cret-fGh7", (SALES, CARE), 40, 44)
GLOBEX: Final = Client("globex", "globex-key", "globex-s3cret-kLm2", (NOTIFY,), 20, 22)
CLIENTS: Final = (ACME, GLOBEX)
ATTEMPTS: Final = 3

READY_IN: Final = 20.0
ENDED_IN: Final = timedelta(seconds=20)


class TroubleError(Exception):
    """The demo cannot go on; the message is a sentence for people."""


class Worker:
    """`python -m worker run`, and what it tells on its own HTTP port."""

    def __init__(self, process: Guarded, port: int, log: Path) -> None:
        """Use `running`."""
        self.log = log
        self._process = process
        self._port = port

    def lanes(self) -> dict[str, Any]:
        """`/lanes`: the state of each account."""
        found: dict[str, Any] = json.loads(self._get("/lanes")[1])
        return found

    def await_readiness(self) -> None:
        """Return once `/readyz` says so; TroubleError when it does not."""
        deadline, why = time.monotonic() + READY_IN, "it does not answer"
        while time.monotonic() < deadline:
            if self._process.status is not None:
                raise TroubleError(f"the worker ended:\n{self.log.read_text(encoding='utf-8')}")
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
def running(amqp_url: str, namespace: str, api_url: str, folder: Path) -> Iterator[Worker]:
    """A worker that is ready; killed at the end if it has not ended before."""
    port, log = free_port(), folder / "worker.log"
    accounts = folder / "accounts.toml"
    accounts.write_text("".join(map(_table, CLIENTS)), encoding="utf-8")
    environment = {
        **{name: each for name, each in os.environ.items() if not name.startswith("TASKEDIT_")},
        "TASKEDIT_AMQP_URL": amqp_url,
        "TASKEDIT_NAMESPACE": namespace,
        "TASKEDIT_API_URL": api_url,
        "TASKEDIT_ACCOUNTS_FILE": str(accounts),
        "TASKEDIT_ATTEMPTS": str(ATTEMPTS),
        "TASKEDIT_STATE_DIR": str(folder / "state"),
        "TASKEDIT_OPS_ADDRESS": f"127.0.0.1:{port}",
        "TASKEDIT_LOG_FORMAT": "json",
    }
    with log.open("wb") as output:
        command = [sys.executable, "-m", "worker", "run"]
        process = Guarded.started(command, environment=environment, folder=folder, output=output)
    worker = Worker(process, port, log)
    try:
        worker.await_readiness()
        yield worker
    finally:
        if process.status is None:
            process.kill()


def _table(client: Client) -> str:
    return (
        f"[accounts.{client.name}]\n"
        f'api_key = "{client.key}"\n'
        f'api_secret = "{client.secret}"\n'
        f"app_ids = {json.dumps(client.app_ids)}\n"
        f'rate = "{client.calls_a_second}/s"\n\n'
    )
