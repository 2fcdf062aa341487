"""Names that are no UTF-8, and headers that a connection does not carry: nobody else is harmed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pika
import pytest

from tests.acceptance.kit import Subscriber, connected, edit, letters, until
from tests.acceptance.test_accounts import accounts_file, two_accounts

if TYPE_CHECKING:
    from pathlib import Path

    from ops.simulator.control import Simulator
    from tests.acceptance.conftest import NewWorker
    from tests.acceptance.kit import WorkerProcess
    from tests.conftest import NewNode

__all__ = ["accounts_file", "two_accounts"]

GOOD = 80
"""Edits of each account."""
NO_TEXT = b"\xff\xfe no UTF-8"


def send(url: str, exchange: str, hostile: dict[int, dict[str, Any]]) -> set[str]:
    """Good edits of two accounts, and before those numbered so, hostile messages; ids of all."""
    ids = set()
    with connected(url) as channel:
        channel.confirm_delivery()
        for number in range(GOOD):
            for app in ("acme-app", "zeta-app"):
                ids.add(f"{app}-{number}")
                changes = hostile.get(number, {}) if app == "acme-app" else {}
                properties = pika.BasicProperties(
                    message_id=f"{app}-{number}", delivery_mode=2, **changes
                )
                body = json.dumps(edit(1 + number % 20, appId=app)).encode()
                channel.basic_publish(exchange, app, body, properties)
    return ids


def undisturbed(worker: WorkerProcess) -> None:
    """Fail if the connections to consume and to publish were not kept."""
    lost = [line for line in worker.lines("connection_lost") if line["link"] != "reply"]
    assert not lost, "a message has cost a connection"


def test_a_routing_key_that_is_no_utf_8_is_a_stray_and_160_good_edits_of_two_accounts_pass(
    amqp_url: str, namespace: str, new_worker: NewWorker, two_accounts: dict[str, str]
) -> None:
    subscriber = Subscriber(amqp_url, namespace)
    worker = new_worker(ready=True, **two_accounts)
    with connected(amqp_url) as channel:
        properties = pika.BasicProperties(message_id="stray", delivery_mode=2)
        channel.basic_publish(namespace, NO_TEXT, b"whose?", properties)  # type: ignore[arg-type]
    ids = send(amqp_url, namespace, {})
    until(lambda: len(subscriber.take()) > len(ids), 30)
    assert subscriber.settled() == dict.fromkeys(ids, "applied") | {"stray": "rejected"}
    undisturbed(worker)
    with connected(amqp_url) as channel:
        method, _, body = channel.basic_get(f"{namespace}.dead", auto_ack=True)
    key: Any = method and method.routing_key
    assert (key, body) == (NO_TEXT, b"whose?")
    subscriber.close()


def test_edits_with_a_reply_to_that_is_no_utf_8_are_applied_and_so_are_all_others(
    amqp_url: str, namespace: str, new_worker: NewWorker, two_accounts: dict[str, str]
) -> None:
    subscriber = Subscriber(amqp_url, namespace)
    worker = new_worker(ready=True, **two_accounts)
    with connected(amqp_url) as channel:  # once the connection for replies is up
        queue = channel.queue_declare("", exclusive=True).method.queue
        properties = pika.BasicProperties(message_id="first", reply_to=queue)
        channel.basic_publish(namespace, "acme-app", json.dumps(edit()).encode(), properties)
        until(lambda: channel.basic_get(queue, auto_ack=True)[0] is not None)
    hostile = {number: {"reply_to": NO_TEXT} for number in range(16)}
    ids = send(amqp_url, namespace, hostile) | {"first"}
    until(lambda: len(subscriber.take()) >= len(ids), 30)
    assert subscriber.settled() == dict.fromkeys(ids, "applied")
    undisturbed(worker)
    subscriber.close()


@pytest.mark.slow
def test_a_letter_too_large_for_the_connections_frames_loses_headers_and_says_so(
    new_node: NewNode, simulator: Simulator, new_worker: NewWorker, tmp_path: Path
) -> None:
    node = new_node(config="frame_max = 8192\n")
    worker = new_worker(AMQP_URL=node.amqp_url, NAMESPACE="task-edit")
    subscriber = Subscriber(node.amqp_url, "task-edit")
    headers = {"large": "x" * 7_800, "small": "kept"}
    with connected(node.amqp_url) as channel:
        properties = pika.BasicProperties(message_id="large", delivery_mode=2, headers=headers)
        channel.basic_publish("task-edit", "acme-app", b"no JSON", properties)
        channel.basic_publish(
            "task-edit",
            "acme-app",
            json.dumps(edit()).encode(),
            pika.BasicProperties(message_id="good", delivery_mode=2),
        )
    until(lambda: len(subscriber.take()) == 2, 30)
    assert subscriber.settled() == {"large": "rejected", "good": "applied"}
    undisturbed(worker)
    [(kept, body)] = letters(node.amqp_url, "task-edit")
    assert (kept["small"], body) == ("kept", b"no JSON")
    assert "large" not in kept
    assert kept["taskedit-detail"].endswith("1 of its headers)")
    subscriber.close()
