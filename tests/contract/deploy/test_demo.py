"""The services of docker-compose.yml, run natively: the same settings, files and users."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
import yaml
from pika.exceptions import ChannelClosedByBroker

from ops.rabbitmq import chroot
from ops.rabbitmq.node import Node
from ops.simulator.control import Simulator
from tests.acceptance.kit import connected, edit, until

if TYPE_CHECKING:
    from collections.abc import Iterator

BROKER = Path("ops/broker")
PASSWORD = "demo-password"

pytestmark = pytest.mark.xdist_group("deploy")
"""One installation serves them all."""


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(Path("docker-compose.yml").read_text())["services"]
    return found


@pytest.fixture(scope="module")
def rabbitmq(broker_root: Path | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node with the settings and definitions that Compose gives it."""
    config = (BROKER / "rabbitmq.conf").read_text()
    config = config.replace("disk_free_limit.absolute = 2GB", "disk_free_limit.absolute = 50MB")
    folder = tmp_path_factory.mktemp("rabbitmq")
    shutil.copy(BROKER / "definitions.json", folder)
    where = folder if broker_root is None else chroot.INNER
    config = config.replace("/etc/rabbitmq", str(where))
    with Node(folder, config=config, root=broker_root) as started:
        yield started


@pytest.fixture
def simulator(services: dict[str, Any]) -> Iterator[Simulator]:
    with Simulator(*services["simulator"]["command"]) as started:
        yield started


def address(node: Node, user: str) -> str:
    return f"amqp://{user}:{PASSWORD}@127.0.0.1:{node.port}/%2F"


@pytest.fixture
def worker(
    installed: Path,
    services: dict[str, Any],
    rabbitmq: Node,
    simulator: Simulator,
    tmp_path: Path,
    port: int,
) -> Iterator[str]:
    """A worker as Compose starts it; the address of its ops HTTP."""
    folder = tmp_path / "taskedit"
    shutil.copytree("ops/docker/demo", folder)
    for name in ("amqp.url", "accounts.toml"):
        text = (folder / name).read_text()
        text = text.replace("rabbitmq:5672", f"127.0.0.1:{rabbitmq.port}")
        (folder / name).write_text(text.replace("http://simulator:8080/aivoice", simulator.url))
    given: dict[str, str] = services["worker"]["environment"]
    environment = {
        name: value.replace("/etc/taskedit", str(folder))
        for name, value in given.items()
        if not value.startswith("$")
    }
    environment |= {
        "TASKEDIT_OPS_ADDRESS": f"127.0.0.1:{port}",
        "TASKEDIT_STATE_DIR": str(tmp_path / "state"),
    }
    command = (installed / "bin" / "taskedit", "run")
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait(10)


def is_ready(ops: str) -> bool:
    try:
        return requests.get(f"{ops}/readyz", timeout=2).ok
    except requests.RequestException:
        return False


@pytest.mark.broker
def test_the_demo_applies_an_edit_with_users_that_may_do_no_more_than_they_must(
    rabbitmq: Node, worker: str
) -> None:
    until(lambda: is_ready(worker))
    with connected(address(rabbitmq, "publisher")) as channel:
        queue = channel.queue_declare("", exclusive=True).method.queue
        channel.queue_bind(queue, "task-edit.events", "#")
        channel.confirm_delivery()
        for key in ("acme-app", "zeta-app"):
            body = json.dumps(edit(1, appId=key)).encode()
            channel.basic_publish("task-edit", key, body, mandatory=True)
        events: list[dict[str, Any]] = []

        def all_told() -> bool:
            body = channel.basic_get(queue, auto_ack=True)[2]
            events.extend([json.loads(body)] if body else [])
            return len(events) == len(("acme", "zeta"))

        until(all_told)
    assert {event["data"]["account"] for event in events} == {"acme", "zeta"}
    assert {event["data"]["outcome"] for event in events} == {"applied"}
    for user, exchange in (("publisher", "task-edit.dead"), ("taskedit", "amq.topic")):
        with pytest.raises(ChannelClosedByBroker, match="ACCESS_REFUSED"):
            _publish(address(rabbitmq, user), exchange, b"{}")
    with pytest.raises(ChannelClosedByBroker, match="PRECONDITION_FAILED"):
        _publish(address(rabbitmq, "publisher"), "task-edit", bytes(1048577))


def _publish(url: str, exchange: str, body: bytes) -> None:
    with connected(url) as channel:
        channel.confirm_delivery()
        channel.basic_publish(exchange, "acme-app", body)


@pytest.mark.broker
def test_the_operators_user_may_do_what_operators_do(
    rabbitmq: Node, worker: str, installed: Path
) -> None:
    until(lambda: is_ready(worker))
    with connected(address(rabbitmq, "publisher")) as channel:
        channel.basic_publish("task-edit", "acme-app", b"no edit")
    held = ("list_queues", "--silent", "name", "messages")
    until(lambda: "task-edit.dead\t1" in rabbitmq.ctl(*held))
    for command in ("dead list", "dead redrive --all", "history --since 1h", "dead export"):
        done = subprocess.run(
            (installed / "bin" / "taskedit", *command.split()),
            env={"TASKEDIT_AMQP_URL": address(rabbitmq, "operator")},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
