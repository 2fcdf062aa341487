"""A worker process, a publisher and a subscriber: what the acceptance tests drive."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Self

import pika
import requests

from ops.rabbitmq.ports import free_port

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

KEY, SECRET = "key-of-acme", "secret-of-acme"


def edit(job: int = 123, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 (any JSON value)
    """A valid edit; `changes` replace its fields, and None leaves one out."""
    fields: dict[str, Any] = {
        "appId": "acme-app",
        "jobId": job,
        "name": f"job {job}",
        "dialogFlowId": 8663,
        "mode": "MANUAL",
        "dailyStartDateTime": "09:00",
        "dailyEndDateTime": "20:00",
        "robotCount": 1,
        "jobPhoneNumberId": 2959,
        "redial": False,
    }
    fields |= changes
    return {name: value for name, value in fields.items() if value is not None}


def until(condition: Callable[[], Any], within: float = 20.0, what: str = "") -> Any:  # noqa: ANN401
    """What `condition` gives once it is true; fails after `within` seconds."""
    deadline = monotonic() + within
    while not (found := condition()):
        if monotonic() > deadline:
            raise AssertionError(what or f"not within {within} s: {condition}")
        sleep(0.02)
    return found


@dataclass
class WorkerProcess:
    """`taskedit run` as a process of its own, ended by its own process id."""

    folder: Path
    environment: Mapping[str, str]
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    arguments: Sequence[str] = ("-m", "worker", "run")
    """What Python runs; tests that hook into the worker have an entry point of their own."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def log(self) -> Path:
        return self.folder / "worker.log"

    def start(self) -> None:
        """Begin; the log is appended to."""
        environment = {"PATH": os.environ["PATH"], "TASKEDIT_STATE_DIR": str(self.folder / "state")}
        environment |= {"TASKEDIT_OPS_ADDRESS": f"127.0.0.1:{self.port}"}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                (sys.executable, *self.arguments),
                env=environment | dict(self.environment),
                stdout=log,
                stderr=log,
            )

    def ready(self, within: float = 20.0) -> None:
        """Wait until /readyz is content."""
        until(lambda: self.asked("/readyz")[0] == 200, within, "the worker is not ready")

    def asked(self, path: str) -> tuple[int, str]:
        """Status and body of the ops HTTP; 0 when nobody answers."""
        try:
            reply = requests.get(f"http://127.0.0.1:{self.port}{path}", timeout=2)
        except requests.RequestException as error:
            return 0, str(error)
        return reply.status_code, reply.text

    def lane(self, account: str = "default") -> dict[str, Any]:
        """What /lanes says of an account."""
        lanes: dict[str, Any] = json.loads(self.asked("/lanes")[1])
        found: dict[str, Any] = lanes[account]
        return found

    def lines(self, event: str) -> list[dict[str, Any]]:
        """The log's lines with that event name."""
        whole = self.log.read_text().rpartition("\n")[0]  # the last line may be half written
        found = (json.loads(line) for line in whole.split("\n") if line[:1] == "{")
        return [line for line in found if line["event"] == event]

    def signal(self, number: signal.Signals) -> None:
        """Send the process a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, and wait for it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)

    def stop(self, within: float = 20.0) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(within)


@contextmanager
def connected(url: str) -> Iterator[pika.adapters.blocking_connection.BlockingChannel]:
    """A channel of its own connection, for publishers and subscribers in tests."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    try:
        yield connection.channel()
    finally:
        if connection.is_open:
            connection.close()


def publish(
    url: str,
    exchange: str,
    edits: list[dict[str, Any]],
    *,
    ids: str = "m",
    key: str = "acme-app",
    **properties: Any,  # noqa: ANN401 (what BasicProperties takes)
) -> list[str]:
    """Publish edits with confirms; gives their message ids: ``m-0``, ``m-1`` and so on."""
    with connected(url) as channel:
        channel.confirm_delivery()
        for number, fields in enumerate(edits):
            channel.basic_publish(
                exchange,
                key,
                json.dumps(fields).encode(),
                pika.BasicProperties(message_id=f"{ids}-{number}", delivery_mode=2, **properties),
            )
    return [f"{ids}-{number}" for number in range(len(edits))]


class Subscriber:
    """A queue bound to all events, and what came of it so far."""

    def __init__(self, url: str, namespace: str) -> None:
        self._connection = pika.BlockingConnection(pika.URLParameters(url))
        self._channel = self._connection.channel()
        self._queue = self._channel.queue_declare("", exclusive=True).method.queue
        self._channel.queue_bind(self._queue, f"{namespace}.events", "#")
        self.events: list[dict[str, Any]] = []

    def take(self) -> list[dict[str, Any]]:
        """All events so far."""
        while True:
            method, _, body = self._channel.basic_get(self._queue, auto_ack=True)
            if method is None or body is None:
                return self.events
            self.events.append(json.loads(body))

    def settled(self) -> dict[str, str]:
        """Message id to outcome, of all events so far."""
        return {event["data"]["messageId"]: event["data"]["outcome"] for event in self.take()}

    def close(self) -> None:
        """Unsubscribe."""
        self._connection.close()


def letters(url: str, namespace: str) -> list[tuple[dict[str, Any], bytes]]:
    """Headers and bodies of all dead letters, which are taken out of the queue."""
    found: list[tuple[dict[str, Any], bytes]] = []
    with connected(url) as channel:
        while True:
            method, properties, body = channel.basic_get(f"{namespace}.dead", auto_ack=True)
            if method is None or properties is None or body is None:
                return found
            found.append((dict(properties.headers or {}), body))
