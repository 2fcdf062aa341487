"""Dead letters sent again: a few first, paced, killed in the middle, and never twice."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pika
import pytest

from tests.acceptance.console import Console
from tests.acceptance.kit import connected, edit, publish, until
from tests.chaos.proxy import Network

if TYPE_CHECKING:
    from pathlib import Path

    from ops.simulator.control import Simulator
    from tests.acceptance.conftest import NewWorker
    from tests.acceptance.kit import Subscriber, WorkerProcess

EACH = 100


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
    """A worker that has rejected 300 edits: 100 invalid, 100 of no app, 100 by a broken API."""
    simulator.answer("-41")
    worker = new_worker(APP_IDS="acme-app")
    jobs = range(1, EACH + 1)
    publish(amqp_url, namespace, [edit(job, redialTimes=7) for job in jobs], ids="seven")
    strays = [edit(EACH + job, appId="nobodys") for job in jobs]
    publish(amqp_url, namespace, strays, ids="stray", key="nobodys")
    broken = [edit(2 * EACH + job, name=f"broken-{job - 1}") for job in jobs]
    publish(amqp_url, namespace, broken, ids="broken")
    until(lambda: len(events.take()) == 3 * EACH)
    assert len(simulator.calls()) == EACH
    simulator.clear(record=True)
    simulator.answer("-41")
    return worker


def ids_in(console: Console) -> Counter[str]:
    """The message ids of all letters."""
    lines = console.run("dead", "export").stdout.splitlines()
    return Counter(json.loads(line)["properties"]["message_id"] for line in lines)


def all_ids() -> set[str]:
    return {f"{kind}-{n}" for kind in ("seven", "stray", "broken") for n in range(EACH)}


def more(events: Subscriber, than: int) -> bool:
    return len(events.take()) > than


def test_a_canary_stops_after_five_while_the_api_is_broken_and_loses_none(
    dead: WorkerProcess, console: Console, simulator: Simulator, events: Subscriber
) -> None:
    said = console.run("dead", "redrive", "--canary", "5", "--reason", "api_rejected", code=1)
    assert "5 of 5 were not applied: 95 are left." in said.stderr
    tried = {call.name for call in simulator.calls()}
    assert len(tried) == len(simulator.calls()) == 5
    assert ids_in(console) == Counter(all_ids())
    told = Counter(event["data"]["messageId"] for event in events.take())
    assert {name for name, count in told.items() if count > 1} == tried
    del dead


def test_with_the_api_mended_the_rest_is_sent_at_the_given_rate(
    dead: WorkerProcess, console: Console, simulator: Simulator
) -> None:
    simulator.clear()
    by = ("dead", "redrive", "--reason", "api_rejected", "--json")
    dry = json.loads(console.run(*by, "--dry-run").stdout)
    assert (dry["planned"], simulator.calls()) == (EACH, [])
    told = json.loads(console.run(*by, "--canary", "5", "--rate", "40/s").stdout)
    assert (told["sent"], told["applied"], told["rejected"]) == (EACH, EACH, 0)
    calls = simulator.calls()
    assert sorted(str(call.job) for call in calls) == sorted(map(str, range(201, 301)))
    for first, later in zip(calls, calls[41:], strict=False):
        assert later.arrived - first.arrived > 1, "more than 40 in a second"
    assert ids_in(console).keys() == {one for one in all_ids() if not one.startswith("broken")}
    del dead


def test_killed_five_times_in_the_middle_every_letter_ends_once(
    dead: WorkerProcess,
    console: Console,
    simulator: Simulator,
    events: Subscriber,
    new_worker: NewWorker,
) -> None:
    assert dead.stop() == 0
    simulator.clear()
    worker = new_worker(APP_IDS="acme-app,nobodys", RATE="400/s")
    for kill in range(1, 6):
        process = console.begun("dead", "redrive", "--all", "--rate", "100/s")
        told = len(events.take())
        until(partial(more, events, told + 20))
        assert process.poll() is None, f"over before kill {kill}: the test proves nothing"
        process.kill()
        process.communicate()
    until(lambda: worker.lane()["waiting"] == worker.lane()["in_flight"] == 0)
    # The last kill may have left a letter beside the new one of the same edit: this takes it out.
    console.run("dead", "redrive", "--all")
    until(lambda: worker.lane()["waiting"] == worker.lane()["in_flight"] == 0)
    applied = {f"{kind}-{n}" for kind in ("stray", "broken") for n in range(EACH)}
    until(lambda: events.settled().items() >= dict.fromkeys(applied, "applied").items())
    until(lambda: ids_in(console) == Counter({f"seven-{n}": 1 for n in range(EACH)}))
    calls = Counter(call.job for call in simulator.calls())
    assert calls == Counter(range(EACH + 1, 3 * EACH + 1)), "an edit was applied twice, or not"


def test_a_letter_that_a_newer_edit_has_overtaken_is_left_unless_told_otherwise(
    amqp_url: str,
    namespace: str,
    dead: WorkerProcess,
    console: Console,
    simulator: Simulator,
    events: Subscriber,
) -> None:
    simulator.clear()
    told = len(events.take())
    publish(amqp_url, namespace, [edit(201, name="newer"), edit(202, name="newer")], ids="new")
    until(lambda: len(events.take()) == told + 2)
    overtaken = ("broken-0", "broken-1")
    said = console.run("dead", "redrive", *overtaken, "broken-2").stderr
    assert "1 dead letter of 3 to be sent again." in said
    assert "broken-0, job 201: new-0, applied" in said
    until(lambda: len(events.take()) == told + 3)
    assert set(overtaken) < set(ids_in(console))
    console.run("dead", "redrive", *overtaken, "--even-if-superseded", "--canary", "1")
    assert {call.name for call in simulator.calls()[-2:]} == set(overtaken)
    del dead


@pytest.mark.slow
def test_an_older_edit_that_was_sent_again_does_not_overtake_a_newer_letter(
    amqp_url: str,
    namespace: str,
    dead: WorkerProcess,
    console: Console,
    simulator: Simulator,
    events: Subscriber,
) -> None:
    simulator.clear()
    told = len(events.take())
    publish(amqp_url, namespace, [edit(250, redialTimes=9)], ids="later")
    until(lambda: len(events.take()) == told + 1)
    console.run("dead", "redrive", "broken-49", "--canary", "1")
    assert [call.job for call in simulator.calls()] == [250]
    said = console.run("dead", "redrive", "later-0", "--dry-run").stderr
    assert "1 dead letter of 1 would be sent again." in said
    del dead


def test_a_copy_of_what_was_applied_is_taken_out_and_not_sent(
    dead: WorkerProcess, console: Console, simulator: Simulator, tmp_path: Path
) -> None:
    simulator.clear()
    (tmp_path / "copy.jsonl").write_text(console.run("dead", "export", "--id", "broken-7").stdout)
    console.run("dead", "redrive", "broken-7", "--canary", "1")
    console.run("dead", "import", "copy.jsonl")
    said = console.run("dead", "redrive", "broken-7").stderr
    assert "1 to be taken out: they are copies of what was sent and settled." in said
    assert "broken-7" not in ids_in(console)
    assert [call.name for call in simulator.calls()] == ["broken-7"]
    del dead


def test_a_letter_is_mended_in_the_editor_checked_and_sent(
    dead: WorkerProcess, console: Console, simulator: Simulator, tmp_path: Path
) -> None:
    simulator.clear()
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\nsed -i 's/: 7/: '$NUMBER'/' \"$1\"\n")
    editor.chmod(0o755)
    by = ("dead", "redrive", "--edit", "seven-3")
    bad = console.run(*by, code=1, EDITOR=str(editor), NUMBER="8").stderr
    assert "redialTimes: must be a whole number from 1 to 3" in bad
    assert "Nothing is sent." in bad
    same = console.run(*by, code=1, EDITOR="true").stderr
    assert "seven-3 was left as it is: nothing is sent." in same
    console.run(*by, "--canary", "1", EDITOR=str(editor), NUMBER="2")
    [call] = simulator.calls()
    assert (call.job, call.applied) == (4, True)
    assert "seven-3" not in ids_in(console)
    del dead


def test_a_hundred_letters_are_mended_at_once_when_a_script_is_the_editor(
    dead: WorkerProcess, console: Console, simulator: Simulator, tmp_path: Path
) -> None:
    simulator.clear()
    editor = tmp_path / "mend.sh"
    editor.write_text('#!/bin/sh\nsed -i \'s/Times": 7/Times": 2/\' "$1"\n')
    editor.chmod(0o755)
    assert "EDITOR=./mend.sh" in console.run("dead", "show", "--reason", "invalid").stderr
    by = ("--reason", "invalid", "--edit", "--canary", "20")
    console.run("dead", "redrive", *by, EDITOR="./mend.sh")
    assert sorted(int(str(call.job)) for call in simulator.calls()) == list(range(1, EACH + 1))
    assert all(call.applied for call in simulator.calls())
    assert not any(name.startswith("seven") for name in ids_in(console))
    [mended] = map(json.loads, console.run("audit", "--json").stdout.splitlines())
    assert (mended["action"], mended["result"]["applied"]) == ("mend", EACH)
    del dead


def test_an_edit_without_a_message_id_is_sent_again_under_the_id_of_its_event(
    amqp_url: str,
    namespace: str,
    new_worker: NewWorker,
    console: Console,
    simulator: Simulator,
    events: Subscriber,
) -> None:
    simulator.answer("-41", times=1)
    new_worker()
    with connected(amqp_url) as channel:
        body = json.dumps(edit(5)).encode()
        channel.basic_publish(namespace, "acme-app", body, pika.BasicProperties(expiration="90000"))
    [first] = until(events.take)
    console.run("dead", "redrive", "--all", "--canary", "1")
    assert [event["data"]["messageId"] for event in events.take()] == [None, first["id"]]
    assert ids_in(console) == Counter()


@pytest.mark.parametrize("straight", [False, True], ids=["by its key", "straight to the lane"])
def test_what_expired_in_the_lane_of_one_app_is_of_that_app_and_goes_back_to_its_lane(
    amqp_url: str,
    namespace: str,
    new_worker: NewWorker,
    console: Console,
    events: Subscriber,
    *,
    straight: bool,
) -> None:
    worker = new_worker(APP_IDS="acme-app")
    worker.stop()
    exchange, key = ("", f"{namespace}.lane.default") if straight else (namespace, "acme-app")
    publish(amqp_url, exchange, [edit(5, appId=None)], key=key, expiration="1")
    worker.start()
    [expired] = until(events.take)
    letter = json.loads(console.run("dead", "show", "--json").stdout)
    console.run("dead", "redrive", "--all")

    assert (expired["data"]["reason"], expired["data"]["appId"]) == ("expired", "acme-app")
    assert (letter["exchange"], letter["routingKey"]) == (exchange, key)
    assert [(each["data"]["outcome"], each["data"]["appId"]) for each in events.take()] == [
        ("rejected", "acme-app"),
        ("applied", "acme-app"),
    ]


def test_what_was_done_to_letters_is_recorded_with_who_why_and_the_result(
    dead: WorkerProcess, console: Console, simulator: Simulator
) -> None:
    simulator.clear()
    console.run("dead", "redrive", "--reason", "api_rejected", "--why", "INC-1, mended")
    console.run("dead", "discard", "--reason", "invalid", "--yes", "--why", "INC-2")
    redriven, discarded = map(json.loads, console.run("audit", "--json").stdout.splitlines())
    assert (redriven["action"], redriven["count"], redriven["why"]) == (
        "redrive",
        EACH,
        "INC-1, mended",
    )
    assert redriven["filter"] == {"reason": ["api_rejected"]}
    assert redriven["result"] == {"sent": EACH}
    assert len(redriven["ids"]) == EACH
    assert (discarded["action"], discarded["result"]) == ("discard", {"discarded": EACH})
    assert all((redriven["actor"], redriven["ended"], discarded["ended"]))
    assert redriven["via"] == "cli"
    del dead


def test_what_cannot_be_recorded_moves_no_letter(
    dead: WorkerProcess, console: Console, simulator: Simulator, amqp_url: str, namespace: str
) -> None:
    simulator.clear()
    with connected(amqp_url) as channel:
        channel.queue_delete(f"{namespace}.operations")
    refused = console.run("dead", "redrive", "--reason", "api_rejected", code=69)
    assert "cannot be recorded" in refused.stderr
    console.run("dead", "discard", "--reason", "invalid", "--yes", code=69)
    assert ids_in(console) == Counter(all_ids())
    assert simulator.calls() == []
    del dead


def test_who_sent_a_letter_again_is_told_with_the_letter_and_with_its_job(
    dead: WorkerProcess, console: Console, events: Subscriber
) -> None:
    told = len(events.take())
    console.run("dead", "redrive", "seven-3", "--why", "INC-9")
    until(lambda: len(events.take()) == told + 1)
    [letter] = map(json.loads, console.run("dead", "show", "seven-3", "--json").stdout.splitlines())
    [again] = letter["sentAgain"]
    assert (again["action"], again["why"], bool(again["actor"])) == ("redrive", "INC-9", True)
    for command in (("dead", "show", "seven-3"), ("history", "--job", "4")):
        assert f"redrive by {again['actor']}" in console.run(*command).stdout
        assert "INC-9" in console.run(*command).stdout
    [other] = map(json.loads, console.run("dead", "show", "seven-4", "--json").stdout.splitlines())
    assert other["sentAgain"] == []
    del dead


def test_a_command_that_is_killed_in_the_middle_is_recorded_as_begun_without_an_end(
    dead: WorkerProcess, console: Console, simulator: Simulator, events: Subscriber
) -> None:
    simulator.clear()
    told = len(events.take())
    by = ("--reason", "api_rejected", "--rate", "20/s", "--why", "INC-7")
    process = console.begun("dead", "redrive", *by)
    until(partial(more, events, told + 3))
    assert process.poll() is None, "it was over before it was killed"
    process.kill()
    process.communicate()
    [cut] = map(json.loads, console.run("audit", "--json").stdout.splitlines())
    assert (cut["action"], cut["count"], cut["why"]) == ("redrive", EACH, "INC-7")
    assert (cut["ended"], cut["result"]) == (None, None)
    assert "never ended" in console.run("audit").stdout
    del dead


def test_a_command_that_loses_its_connection_is_recorded_as_ended_with_why(
    dead: WorkerProcess, console: Console, simulator: Simulator, events: Subscriber, amqp_url: str
) -> None:
    simulator.clear()
    told = len(events.take())
    with Network() as network:
        port = urlsplit(amqp_url).port or 0
        proxy = network.proxy(port)
        there = {"TASKEDIT_AMQP_URL": amqp_url.replace(f":{port}/", f":{proxy.port}/")}
        by = ("--reason", "api_rejected", "--rate", "20/s")
        process = replace(console, environment={**console.environment, **there}).begun(
            "dead", "redrive", *by
        )
        until(partial(more, events, told + 3))
        proxy.reset()
        _, err = process.communicate(timeout=30)
        assert process.returncode == 69, err
    [cut] = map(json.loads, console.run("audit", "--json").stdout.splitlines())
    assert cut["ended"] is not None
    assert "lost the connection" in cut["result"]["failed"]
    assert 0 < cut["result"]["sent"] < EACH
    del dead
