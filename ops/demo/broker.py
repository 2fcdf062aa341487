"""A RabbitMQ for the demo: yours, Docker's, this machine's, or one that is installed for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pika
from pika.exceptions import AMQPError

from ops.rabbitmq import install
from ops.rabbitmq.node import Node

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGE: Final = "rabbitmq:4.3.6"
ENGINE_ANSWERS_IN: Final = 5
PULLED_IN: Final = 120
READY_IN: Final = 60
VARIABLE: Final = "TASKEDIT_AMQP_URL"


@dataclass(frozen=True, slots=True)
class Broker:
    """A RabbitMQ that answers."""

    url: str
    what: str
    """Whose it is, for people."""


@contextmanager
def a_broker() -> Iterator[Broker]:
    """A RabbitMQ, ended afterwards unless it is yours; `install.AbsentError` if none can be had."""
    if url := os.environ.get(VARIABLE):
        yield Broker(url.split(",")[0], f"your RabbitMQ, of {VARIABLE}")
    elif container := _container():
        try:
            yield Broker(_url_of(container), f"RabbitMQ in a container of {IMAGE}")
        finally:
            _docker("rm", "--force", "--volumes", container)
    else:
        found = install.ensure()
        with (
            tempfile.TemporaryDirectory(prefix="task-edit-demo-") as folder,
            Node(Path(folder)) as node,
        ):
            yield Broker(node.amqp_url, f"RabbitMQ {found.version}, a private node of this machine")


def _container() -> str | None:
    """The id of a new container; None without a Docker engine that has, or can get, the image."""
    if shutil.which("docker") is None or _docker("version", within=ENGINE_ANSWERS_IN) is None:
        return None
    publish = ("--publish", "127.0.0.1::5672")
    return _docker("run", "--detach", "--rm", *publish, IMAGE, within=PULLED_IN)


def _url_of(container: str) -> str:
    """Where the container's RabbitMQ listens, once it does."""
    address = (_docker("port", container, "5672/tcp") or "").splitlines()[0]
    url = f"amqp://guest:guest@{address}/%2F"
    deadline = time.monotonic() + READY_IN
    while True:
        try:
            pika.BlockingConnection(pika.URLParameters(url)).close()
        except AMQPError as error:
            if time.monotonic() > deadline:
                raise install.AbsentError(f"{IMAGE} is not ready after {READY_IN} s") from error
            time.sleep(0.2)
        else:
            return url


def _docker(*arguments: str, within: float = READY_IN) -> str | None:
    """What docker prints, without the line's end; None when it fails or takes too long."""
    try:
        done = subprocess.run(
            ["docker", *arguments],
            capture_output=True,
            text=True,
            timeout=within,
            check=True,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
