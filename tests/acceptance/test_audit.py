"""Whatever an operator does is recorded before it is done, or it is not done."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.console import Console
from tests.acceptance.kit import connected, edit, publish, until
from tests.chaos.proxy import Network, Weather
from tests.contract.deadletters.users import a_user

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ops.rabbitmq.node import Node
    from tests.acceptance.conftest import NewWorker
    from tests.acceptance.kit import Subscriber, WorkerProcess

LETTERS = 6
SLOWLY = Weather(delay=0.3)
"""So that a command is still at it when it is seen to have begun."""
ACTIONS: dict[str, tuple[tuple[str, ...], int | None]] = {
    "pause": (("pause", "default"), None),
    "resume": (("resume", "default"), None),
    "redrive": (("dead", "redrive", "m-0", "m-1"), 2),
    "mend": (("dead", "redrive", "m-2", "--edit"), 1),
    "discard": (("dead", "discard", "--yes", "m-3"), 1),
    "import": (("dead", "import", "carried.jsonl"), 1),
}
"""What an operator calls each, and about how many letters it is."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def console(amqp_url: str, namespace: str, tmp_path: Path) -> Console:
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nexec sed -i \'s/"redialTimes": 7/"redialTimes": 2/\' "$1"\n')
    editor.chmod(0o755)
    settings = {
        "TASKEDIT_AMQP_URL": amqp_url,
        "TASKEDIT_NAMESPACE": namespace,
        "EDITOR": str(editor),
    }
    return Console(settings, tmp_path)


@pytest.fixture
def worker(
    new_worker: NewWorker,
    events: Subscriber,
    console: Console,
    amqp_url: str,
    namespace: str,
    tmp_path: Path,
) -> WorkerProcess:
    """It has rejected some edits, and one more, which was carried away into a file."""
    worker = new_worker()
    bad = [edit(1 + n, redialTimes=7) for n in range(LETTERS + 1)]
    publish(amqp_url, namespace, bad)
    until(lambda: len(events.settled()) == len(bad))
    file = tmp_path / "carried.jsonl"
    console.run("dead", "export", "--output", str(file), f"m-{LETTERS}")
    console.run("dead", "discard", "--yes", f"m-{LETTERS}", "--why", "carried away")
    return worker


def audit(console: Console) -> list[dict[str, Any]]:
    """Each operation but the one of the beginning."""
    found = map(json.loads, console.run("audit", "--json").stdout.splitlines())
    return [one for one in found if one["why"] != "carried away"]


def lying(console: Console) -> set[str]:
    """The message ids of the dead letters."""
    lines = console.run("dead", "export").stdout.splitlines()
    return {json.loads(line)["properties"]["message_id"] for line in lines}


@pytest.mark.usefixtures("worker")
def test_every_action_is_recorded_with_who_why_how_much_and_what_came_of_it(
    console: Console,
) -> None:
    for action, (command, _) in ACTIONS.items():
        console.run(*command, "--why", f"for {action}")
    done = audit(console)
    assert [(one["action"], one["count"]) for one in done] == [
        (action, count) for action, (_, count) in ACTIONS.items()
    ]
    for one in done:
        assert one["why"] == f"for {one['action']}"
        assert "@" in one["actor"]
        assert (one["user"], one["via"]) == ("guest", "cli")
        assert one["ended"]
        assert one["result"]
        assert "failed" not in one["result"]


@pytest.mark.usefixtures("worker")
def test_what_was_killed_in_the_middle_is_recorded_as_begun_and_never_ended(
    broker: Node, namespace: str, console: Console
) -> None:
    with Network() as network, connected(broker.amqp_url) as channel:
        proxy = network.proxy(broker.port)
        proxy.turn(SLOWLY)
        slow = {"TASKEDIT_AMQP_URL": f"amqp://guest:guest@127.0.0.1:{proxy.port}/%2F"}
        channel.basic_qos(prefetch_count=100)
        begun = channel.consume(
            f"{namespace}.operations", arguments={"x-stream-offset": "next"}, inactivity_timeout=40
        )
        for action, (command, _) in ACTIONS.items():
            process = console.begun(*command, "--why", f"for {action}", **slow)
            for method, _, body in begun:
                assert method is not None, f"{action} was not recorded: {process.communicate()}"
                assert body is not None
                channel.basic_ack(method.delivery_tag or 0)
                record = json.loads(body)
                if (record["action"], record["phase"]) == (action, "begun"):
                    break
            process.kill()
            process.communicate()
            assert process.returncode == -signal.SIGKILL, "it had ended: the test proves nothing"
    done = audit(console)
    assert [(one["action"], one["count"], one["why"]) for one in done] == [
        (action, count, f"for {action}") for action, (_, count) in ACTIONS.items()
    ]
    assert all(one["actor"] and one["ended"] is None for one in done)
    assert "never ended" in console.run("audit").stdout


@pytest.fixture(params=["deleted", "refused"])
def unrecorded(
    request: pytest.FixtureRequest,
    worker: WorkerProcess,
    broker: Node,
    namespace: str,
    console: Console,
) -> Iterator[Console]:
    """An operator whose deeds cannot be recorded: no stream, or no permission to write there."""
    del worker
    if request.param == "deleted":
        with connected(broker.amqp_url) as channel:
            channel.queue_delete(f"{namespace}.operations")
        yield console
        return
    everything_but = f"^(?!amq[.]default$|{namespace}[.]operations$).*"
    with a_user(broker, configure=".*", write=everything_but, read=".*") as url:
        environment = {**console.environment, "TASKEDIT_AMQP_URL": url}
        yield replace(console, environment=environment)


def test_what_cannot_be_recorded_is_refused_and_no_letter_moves(
    unrecorded: Console, console: Console, worker: WorkerProcess
) -> None:
    before = lying(console)
    assert before == {f"m-{n}" for n in range(LETTERS)}
    for command, _ in ACTIONS.values():
        process = unrecorded.begun(*command, "--why", "never written down")
        _, said = process.communicate(timeout=45)
        assert process.returncode in {1, 69}, f"{command}: {said}"
        assert "cannot be recorded" in said, f"{command}: {said}"
    assert lying(console) == before
    assert worker.lane()["state"] != "paused"
