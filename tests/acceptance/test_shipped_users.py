"""The users of ops/broker/definitions.json: each may do what its commands need."""

from __future__ import annotations

import json
import select
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
import requests

from tests.acceptance.console import Console
from tests.acceptance.kit import edit, publish, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops.rabbitmq.node import Node
    from tests.acceptance.conftest import NewWorker
    from tests.acceptance.kit import Subscriber

DEFINITIONS = Path(__file__).resolve().parents[2] / "ops" / "broker" / "definitions.json"
PASSWORD = "of-a-test"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture
def users(broker: Node, namespace: str) -> Iterator[dict[str, str]]:
    """The AMQP URL of each, whose permissions are those of this test's namespace."""
    shipped = json.loads(DEFINITIONS.read_text())
    names = {one["name"]: f"{namespace}-{one['name']}" for one in shipped["users"]}
    with requests.Session() as session:
        session.trust_env = False
        for one in shipped["users"]:
            _put(session, f"{broker.management_url}/api/users/{names[one['name']]}", one["tags"])
        for one in shipped["permissions"]:
            where = f"{broker.management_url}/api/permissions/%2F/{names[one['user']]}"
            patterns = {
                key: one[key].replace("task-edit", namespace)
                for key in ("configure", "write", "read")
            }
            session.put(where, json=patterns, timeout=10).raise_for_status()
        yield {
            name: f"amqp://{quote(own)}:{PASSWORD}@127.0.0.1:{broker.port}/%2F"
            for name, own in names.items()
        }
        for own in names.values():
            session.delete(f"{broker.management_url}/api/users/{own}", timeout=10)


def _put(session: requests.Session, where: str, tags: list[str]) -> None:
    fields = {"password": PASSWORD, "tags": ",".join(tags)}
    session.put(where, json=fields, timeout=10).raise_for_status()


def console(url: str, namespace: str, folder: Path) -> Console:
    return Console({"TASKEDIT_AMQP_URL": url, "TASKEDIT_NAMESPACE": namespace}, folder)


def test_the_workers_user_serves_is_paused_and_declares_everything(
    new_worker: NewWorker,
    events: Subscriber,
    users: dict[str, str],
    broker: Node,
    namespace: str,
    tmp_path: Path,
) -> None:
    worker = new_worker(AMQP_URL=users["taskedit"])
    publish(broker.amqp_url, namespace, [edit(1), edit(2, robotCount=0)])
    until(lambda: events.settled() == {"m-0": "applied", "m-1": "rejected"})
    own = console(users["taskedit"], namespace, tmp_path)
    for command in (("topology", "apply", "--yes"), ("topology", "show"), ("lanes",)):
        own.run(*command, TASKEDIT_API_KEY="key", TASKEDIT_API_SECRET="secret")
    console(broker.amqp_url, namespace, tmp_path).run("pause", "default", "--why", "heard?")
    assert worker.lane()["state"] == "paused"
    assert "403" not in worker.log.read_text()


def test_the_operators_user_runs_every_command_of_an_operator(
    new_worker: NewWorker,
    events: Subscriber,
    users: dict[str, str],
    broker: Node,
    namespace: str,
    tmp_path: Path,
) -> None:
    new_worker()
    publish(broker.amqp_url, namespace, [edit(1 + n, redialTimes=7) for n in range(3)])
    until(lambda: len(events.settled()) == 3)
    operator = console(users["operator"], namespace, tmp_path)
    edits = tmp_path / "edits.jsonl"
    edits.write_text(json.dumps(edit(9)) + "\n")
    for command in (
        ("lanes", "--json"),
        ("pause", "default", "--why", "by the operator"),
        ("resume", "default"),
        ("dead", "list"),
        ("dead", "show"),
        ("dead", "export", "--output", "carried.jsonl"),
        ("dead", "discard", "--yes", "m-0"),
        ("dead", "import", "carried.jsonl"),
        ("dead", "redrive", "--all"),
        ("history", "--job", "1"),
        ("publish", str(edits), "--wait"),
        ("audit",),
    ):
        operator.run(*command)
    recorded = [json.loads(line) for line in operator.run("audit", "--json").stdout.splitlines()]
    assert [one["action"] for one in recorded] == [
        "pause",
        "resume",
        "discard",
        "import",
        "redrive",
    ]
    assert {one["user"] for one in recorded} == {f"{namespace}-operator"}
    watching = operator.begun("watch", "--json")
    assert watching.stdout is not None
    while not select.select([watching.stdout], [], [], 0.5)[0]:
        publish(broker.amqp_url, namespace, [edit(10)], ids="seen")
    assert json.loads(watching.stdout.readline())["data"]["account"] == "default"
    watching.terminate()
    watching.communicate(timeout=20)


def test_the_publishers_user_publishes_waits_and_may_not_pause(
    new_worker: NewWorker, events: Subscriber, users: dict[str, str], namespace: str, tmp_path: Path
) -> None:
    worker = new_worker()
    publisher = console(users["publisher"], namespace, tmp_path)
    edits = tmp_path / "edits.jsonl"
    edits.write_text("".join(json.dumps(edit(1 + n)) + "\n" for n in range(3)))
    publisher.run("validate", str(edits))
    publisher.run("publish", str(edits), "--wait")
    assert set(events.settled().values()) == {"applied"}
    for refused in (("pause", "default", "--why", "no"), ("dead", "discard", "--yes")):
        assert publisher.code(*refused) not in {0, 75}
    assert worker.lane()["state"] == "running"
