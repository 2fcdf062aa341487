"""A RabbitMQ for the demo or the sandbox: Docker's, this machine's, or one installed for it."""

from __future__ import annotations

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
from ops.rabbitmq.layout import MANAGEMENT
from ops.rabbitmq.node import Node
from ops.rabbitmq.ports import USUAL, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGE: Final = "rabbitmq:4.3.6-management"
ENGINE_ANSWERS_IN: Final = 5
PULLED_IN: Final = 120
READY_IN: Final = 60


@dataclass(frozen=True, slots=True)
class Broker:
    """A RabbitMQ that answers."""

    url: str
    what: str
    """Whose it is, for people."""
    management_url: str = ""
    """Of its management API, with user and password; empty where there is none."""


@contextmanager
def own_broker(*, management: bool = False) -> Iterator[Broker]:
    """A RabbitMQ that ends with the block; `install.AbsentError` if none can be had.

    With `management` it has its management API, and the usual ports where these are free.
    """
    if found := _container(management=management):
        name, broker = found
        try:
            _await(broker.url)
            yield broker
        finally:
            _docker("rm", "--force", "--volumes", name)
    else:
        version = install.ensure().version
        plugins = [MANAGEMENT] if management else []
        with (
            tempfile.TemporaryDirectory(prefix="task-edit-rabbitmq-") as folder,
            Node(Path(folder), plugins=plugins, usual_ports=management) as node,
        ):
            what = f"RabbitMQ {version}, a private node of this machine"
            yield Broker(node.amqp_url, what, node.management_url if management else "")


def _container(*, management: bool) -> tuple[str, Broker] | None:
    """A new container and its RabbitMQ; None if Docker does not answer or cannot get the image."""
    if shutil.which("docker") is None or _docker("version", within=ENGINE_ANSWERS_IN) is None:
        return None
    amqp, http = map(free_port, USUAL) if management else (free_port(), free_port())
    publish = (f"--publish=127.0.0.1:{amqp}:5672", f"--publish=127.0.0.1:{http}:15672")
    name = _docker("run", "--detach", "--rm", *publish, IMAGE, within=PULLED_IN)
    url = f"amqp://guest:guest@127.0.0.1:{amqp}/%2F"
    management_url = f"http://guest:guest@127.0.0.1:{http}"
    what = f"RabbitMQ in a container of {IMAGE}"
    return None if name is None else (name, Broker(url, what, management_url))


def _await(url: str) -> None:
    """Return once the container's RabbitMQ takes connections; AbsentError when it does not."""
    deadline = time.monotonic() + READY_IN
    while True:
        try:
            pika.BlockingConnection(pika.URLParameters(url)).close()
        except AMQPError as error:
            if time.monotonic() > deadline:
                raise install.AbsentError(f"{IMAGE} is not ready after {READY_IN} s") from error
            time.sleep(0.2)
        else:
            return


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
