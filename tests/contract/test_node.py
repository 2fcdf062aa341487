"""The private RabbitMQ node keeps what the tests and chaos runs take for granted."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import pika
import psutil
import pytest
import requests

from ops.rabbitmq.node import Node, NodeError
from tests.conftest import sweep

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pika.adapters.blocking_connection import BlockingChannel

    from tests.conftest import NewNode

PATIENCE = 15.0  # seconds
QUORUM = {"x-queue-type": "quorum"}


@contextmanager
def channel_to(node: Node) -> Iterator[BlockingChannel]:
    """A channel with confirms, whose connection is closed whatever happens."""
    connection = pika.BlockingConnection(pika.URLParameters(node.amqp_url))
    try:
        channel = connection.channel()
        channel.confirm_delivery()
        yield channel
    finally:
        if connection.is_open:
            connection.close()


def greeting(node: Node) -> bytes:
    """The first byte that it answers to the AMQP header with, within half a second."""
    with socket.create_connection(("127.0.0.1", node.port), timeout=0.5) as client:
        client.sendall(b"AMQP\x00\x00\x09\x01")
        return client.recv(1)


def keep(node: Node, queue: str, body: bytes) -> None:
    """Publish one message that RabbitMQ confirms to a queue that outlives a kill."""
    with channel_to(node) as channel:
        channel.queue_declare(queue, durable=True, arguments=QUORUM)
        deadline = time.monotonic() + PATIENCE
        while not node.remembers(queue):
            assert time.monotonic() < deadline, "the queue is not written down"
            channel.connection.sleep(0.05)
        channel.basic_publish("", queue, body)


def taken(node: Node, queue: str) -> bytes | None:
    with channel_to(node) as channel:
        _, _, body = channel.basic_get(queue, auto_ack=True)
        return body


def test_a_killed_node_comes_back_at_its_address_with_what_it_confirmed(new_node: NewNode) -> None:
    node = new_node()
    address = node.amqp_url
    keep(node, "kept", b"edit")

    node.kill()

    assert not node.serving
    with pytest.raises(ConnectionRefusedError):
        greeting(node)
    node.start()
    assert node.amqp_url == address
    assert taken(node, "kept") == b"edit"


def test_a_frozen_node_is_silent_to_clients_and_tools_until_it_thaws(new_node: NewNode) -> None:
    node = new_node()

    node.freeze()

    assert not node.serving
    with pytest.raises(TimeoutError):
        greeting(node)
    with pytest.raises(NodeError, match="no answer"):
        node.ctl("status", within=timedelta(seconds=1))
    node.thaw()
    assert greeting(node)


def test_settings_given_win_over_those_of_the_node(new_node: NewNode) -> None:
    node = new_node(config="vm_memory_high_watermark.absolute = 300MB\nmax_message_size = 1024")

    def setting(name: str) -> str:
        return node.ctl("eval", f"application:get_env(rabbit, {name}).").strip()

    assert setting("vm_memory_high_watermark") == '{ok,{absolute,"300MB"}}'
    assert setting("max_message_size") == "{ok,1024}"


def test_a_node_that_cannot_start_says_why(tmp_path: Path, broker_root: Path | None) -> None:
    node = Node(tmp_path, config="no_such_setting = 1", root=broker_root)
    with pytest.raises(NodeError, match="no_such_setting"):
        node.start()
    assert node.pid is None


def test_a_refused_command_is_an_error_with_what_the_tool_said(broker: Node) -> None:
    said = r"(?is)^rabbitmqctl delete_queue none: .*(not.found|no such queue)"
    with pytest.raises(NodeError, match=said):
        broker.ctl("delete_queue", "none")


def test_the_management_api_answers_as_guest(broker: Node) -> None:
    overview = requests.get(f"{broker.management_url}/api/overview", timeout=5).json()
    assert overview["rabbitmq_version"] == broker.version


def test_a_namespace_is_swept_and_its_neighbours_stay(broker: Node, namespace: str) -> None:
    mine, other = f"{namespace}.lane.a/b c", f"other-{namespace}"
    with channel_to(broker) as channel:
        for name in (mine, other):
            channel.queue_declare(name, durable=True, arguments=QUORUM)
        channel.exchange_declare(namespace, "topic", durable=True)

        sweep(broker, namespace)

        channel.queue_declare(other, passive=True)
        assert channel.queue_declare(mine, durable=True).method.message_count == 0
        channel.exchange_declare(namespace, "fanout")
        channel.queue_delete(other)


@pytest.mark.broker
def test_nothing_outlives_the_process_that_started_it(tmp_path: Path) -> None:
    person = subprocess.Popen(
        [sys.executable, "-m", "ops.rabbitmq", "--no-management"],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
    )
    assert person.stdout is not None
    assert person.stdout.readline().startswith(b"amqp://guest:guest@127.0.0.1:")
    started = psutil.Process(person.pid).children(recursive=True)
    assert {"beam.smp", "epmd"} <= {child.name() for child in started}

    person.kill()
    person.communicate()

    def gone(child: psutil.Process) -> bool:
        # A container may have nobody that reaps orphans: a zombie has ended as well.
        return not child.is_running() or child.status() == psutil.STATUS_ZOMBIE

    waiting = started
    for _ in range(100):
        _, waiting = psutil.wait_procs([c for c in waiting if not gone(c)], timeout=0.1)
        if not waiting:
            break
    assert waiting == []
