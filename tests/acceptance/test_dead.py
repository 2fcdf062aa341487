"""300 dead letters of three reasons: looked at, carried away and back, thrown away."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pika
import pytest

from tests.acceptance.console import Console
from tests.acceptance.kit import connected, edit, letters, publish, until

if TYPE_CHECKING:
    from pathlib import Path

    from ops.simulator.control import Simulator
    from tests.acceptance.conftest import NewWorker
    from tests.acceptance.kit import Subscriber, WorkerProcess

EACH = 100
PROBLEM = "must be a whole number from 1 to 3 (the provider's status -31: redial times)"


@pytest.fixture
def console(amqp_url: str, namespace: str, tmp_path: Path) -> Console:
    settings = {"TASKEDIT_AMQP_URL": amqp_url, "TASKEDIT_NAMESPACE": namespace}
    return Console(settings, tmp_path)


@pytest.fixture
def dead(
    amqp_url: str,
    namespace: str,
    simulator: Simulator,
    new_worker: NewWorker,
    events: Subscriber,
) -> WorkerProcess:
    """A worker that has rejected 300 edits; those of no app are in the queue's third hundred."""
    simulator.answer("-33", name="taken*")
    worker = new_worker(APP_IDS="acme-app")
    edits = [edit(1 + n, name=f"taken {n}") for n in range(EACH)]
    publish(amqp_url, namespace, edits, ids="taken")
    edits = [edit(1001 + n, redialTimes=7) for n in range(EACH)]
    publish(amqp_url, namespace, edits, ids="seven")
    until(lambda: len(events.take()) == 2 * EACH)
    edits = [edit(2001 + n, appId="nobodys") for n in range(EACH)]
    publish(amqp_url, namespace, edits, ids="stray", key="nobodys")
    until(lambda: len(events.take()) == 3 * EACH)
    return worker


def ready(url: str, queue: str) -> int:
    """How many messages wait in a queue."""
    with connected(url) as channel:
        count: int = channel.queue_declare(queue, passive=True).method.message_count
        return count


def test_looking_groups_300_letters_by_reason_and_leaves_them_as_they_were(
    amqp_url: str, namespace: str, dead: WorkerProcess, console: Console
) -> None:
    before = console.run("dead", "export").stdout
    groups = [
        json.loads(line) for line in console.run("dead", "list", "--json").stdout.splitlines()
    ]
    found = {(group["reason"], group["status"]): group["count"] for group in groups}
    assert found == {
        ("invalid", None): EACH,
        ("api_rejected", "-33"): EACH,
        ("unknown_app", None): EACH,
    }
    assert all(0 <= group["newestSeconds"] <= group["oldestSeconds"] < 60 for group in groups)
    table = console.run("dead", "list").stdout
    assert "api_rejected  -33" in table
    assert "default 100" in table
    shown = console.run("dead", "show", "--account", "-", "--json").stdout.splitlines()
    assert {json.loads(line)["reason"] for line in shown} == {"unknown_app"}
    assert len(shown) == EACH
    assert console.run("dead", "export").stdout == before
    bodies = [json.loads(line)["body"].encode() for line in before.splitlines()]
    assert [body for _, body in letters(amqp_url, namespace)] == bodies
    del dead


def test_a_letter_is_shown_with_what_is_wrong_and_the_command_that_sends_it_again(
    amqp_url: str,
    namespace: str,
    dead: WorkerProcess,
    console: Console,
    events: Subscriber,
) -> None:
    shown = console.run("dead", "show", "seven-7").stdout
    assert '"redialTimes": 7' in shown
    assert f"redialTimes: {PROBLEM}" in shown
    assert "rejected, invalid  seven-7  <- this letter" in shown
    assert "taskedit dead redrive --id seven-7 --edit" in shown
    publish(amqp_url, namespace, [edit(1008, name="newer")], ids="newer")
    until(lambda: len(events.take()) == 3 * EACH + 1)
    assert (
        "A newer edit of this job (newer-0) was applied"
        in console.run("dead", "show", "seven-7").stdout
    )
    fields = json.loads(console.run("dead", "show", "seven-7", "--json").stdout)
    assert fields["standing"]["kind"] == "superseded"
    assert fields["fields"] == [{"field": "redialTimes", "problem": PROBLEM}]
    assert fields["letter"]["headers"]["taskedit-reason"] == "invalid"
    assert [event["data"]["outcome"] for event in fields["events"]] == ["rejected", "applied"]
    said = console.run("dead", "show", "nobody-knows-it", code=1).stderr
    assert said == "No dead letters match.\n"
    two = console.run("dead", "show", "--reason", "invalid", "--max", "2", "--json")
    assert len(two.stdout.splitlines()) == 2
    assert f"{EACH - 2} more match" in two.stderr
    del dead


def test_what_is_exported_discarded_and_imported_is_the_same_byte_for_byte(
    amqp_url: str, namespace: str, new_worker: NewWorker, console: Console, tmp_path: Path
) -> None:
    new_worker().stop()
    odd: list[tuple[bytes, dict[str, Any]]] = [
        (b"\xff\xfe no text", {"message_id": "binary", "headers": {"n": 7, "t": {"a": [1]}}}),
        (b"", {"headers": {"taskedit-reason": "malformed"}}),
        ('{"a": "ü\\ud800"}'.encode(), {"priority": 3, "timestamp": 17, "user_id": "guest"}),
        (b"[]", {"content_type": "caf\u00e9", "app_id": "a", "headers": {"\u00e9": "\u00e9"}}),
    ]
    with connected(amqp_url) as channel:
        channel.confirm_delivery()  # all are in the queue before it is looked at
        for body, properties in odd:
            channel.basic_publish(
                f"{namespace}.dead", "k", body, pika.BasicProperties(**properties)
            )
    before = console.run("dead", "export", "-o", "letters.jsonl")
    assert "4 dead letters exported" in before.stderr
    said = console.run("dead", "export", "-o", "no/such/folder", code=1).stderr
    assert said == "no/such/folder cannot be written: No such file or directory.\n"
    file = tmp_path / "letters.jsonl"
    refused = console.run("dead", "discard", code=2)
    assert "--yes" in refused.stderr
    assert "4 dead letters discarded" in console.run("dead", "discard", "--yes").stderr
    assert console.run("dead", "export").stdout == ""
    console.run("dead", "import", str(file))
    assert console.run("dead", "export").stdout == file.read_text()
    assert "4 dead letters there already" in console.run("dead", "import", str(file)).stderr
    assert console.run("dead", "export").stdout == file.read_text(), "imported twice"
    file.write_text(file.read_text() + '{"body": 7}\n')
    again = console.run("dead", "import", str(file), code=1)
    assert "letters.jsonl:5: Body is missing, or no text." in again.stderr
    assert len(letters(amqp_url, namespace)) == len(odd)


def test_discarding_takes_those_that_are_meant_and_no_others(
    dead: WorkerProcess, console: Console
) -> None:
    console.run("dead", "discard", "--yes", "--reason", "invalid", "--older-than", "1h")
    console.run("dead", "discard", "--yes", "--reason", "unknown_app", "stray-6")
    [line] = console.run("dead", "export", "stray-7").stdout.splitlines()
    assert json.loads(line)["properties"]["message_id"] == "stray-7"
    console.run("dead", "discard", "--yes", "--status", "-33", "--account", "default")
    lines = console.run("dead", "list", "--json").stdout.splitlines()
    found = {group["reason"]: group["count"] for group in map(json.loads, lines)}
    assert found == {"invalid": EACH, "unknown_app": EACH - 1}
    ids = [
        json.loads(line)["properties"]["message_id"]
        for line in console.run("dead", "export").stdout.splitlines()
    ]
    assert ids == [f"seven-{n}" for n in range(EACH)] + [
        f"stray-{n}" for n in range(EACH) if n != 6
    ]
    del dead


def test_a_second_command_is_told_who_is_at_the_letters(
    amqp_url: str, namespace: str, dead: WorkerProcess, console: Console
) -> None:
    assert dead.stop() == 0  # so that outcomes are waited for in vain
    waiting = console.begun("dead", "redrive", "--all", "--canary", "1", "--patience", "40s")
    try:
        until(lambda: ready(amqp_url, f"{namespace}.lane.default") == 1)
        said = console.run("dead", "list", code=75).stderr
        assert f"process {waiting.pid}" in said
        assert "taskedit dead redrive" in said
    finally:
        waiting.terminate()
        waiting.communicate(timeout=20)
    assert waiting.returncode == 1
    assert "299 dead letters." in console.run("dead", "list").stderr


def test_without_a_queue_or_a_broker_it_says_so_and_ends_with_69(
    console: Console, namespace: str, port: int
) -> None:
    said = console.run("dead", "list", code=69).stderr
    assert said == f"There is no queue {namespace}.dead: has a worker ever run here?\n"
    url = f"amqp://guest:hidden-word@127.0.0.1:{port}/%2F"
    said = console.run("dead", "list", code=69, TASKEDIT_AMQP_URL=url).stderr
    assert f"127.0.0.1:{port}" in said
    assert "hidden-word" not in said
