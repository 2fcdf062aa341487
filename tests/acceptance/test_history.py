"""What happened and what happens, from the journal."""

from __future__ import annotations

import json
import signal
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pika
import pytest

from schemas import Names, encode
from tests.acceptance.console import Console
from tests.acceptance.kit import connected, edit, publish, until
from worker.amqp.topology import Queue, journal_objects

if TYPE_CHECKING:
    from pathlib import Path

    from ops.simulator.control import Simulator
    from tests.acceptance.conftest import NewWorker
    from tests.acceptance.kit import Subscriber

JOBS = 50


@pytest.fixture
def console(amqp_url: str, namespace: str, tmp_path: Path) -> Console:
    settings = {"TASKEDIT_AMQP_URL": amqp_url, "TASKEDIT_NAMESPACE": namespace}
    return Console(settings, tmp_path)


def fill(url: str, names: Names, count: int) -> datetime:
    """A journal with so many events, of `JOBS` jobs in turn, one a second; when the first was."""
    begin = datetime.now(UTC) - timedelta(seconds=count)
    with connected(url) as channel:
        queue = journal_objects(names)[0]
        assert isinstance(queue, Queue)
        channel.queue_declare(names.journal, durable=True, arguments=dict(queue.arguments))
        for number in range(count):
            at = begin + timedelta(seconds=number)
            body = encode(
                event_id=f"event-{number}",
                outcome="applied",
                message_id=f"m-{number}",
                correlation_id='"jobId":7,' if number % JOBS == 8 else None,
                account="acme" if number % 2 else "zeta",
                app_id="acme-app",
                job_id=1 + number % JOBS,
                attempts=1,
                received_at=at,
                finished_at=at,
                api_status="0",
            )
            channel.basic_publish("", names.journal, body, pika.BasicProperties(delivery_mode=2))
    return begin


def ids(lines: str) -> list[str]:
    return [json.loads(line)["data"]["messageId"] for line in lines.splitlines()]


@pytest.mark.timeout(240)
@pytest.mark.parametrize("count", [2000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_a_jobs_history_is_found_among_all_events(
    amqp_url: str, namespace: str, console: Console, count: int
) -> None:
    begin = fill(amqp_url, Names(namespace), count)
    ours = [f"m-{number}" for number in range(6, count, JOBS)]
    by = ("history", "--job", "7", "--json")
    assert ids(console.run(*by).stdout) == ours
    since = (begin + timedelta(seconds=count - 10 * JOBS)).isoformat()
    assert ids(console.run(*by, "--since", since).stdout) == ours[-10:]
    until_ = (begin + timedelta(seconds=2 * JOBS)).isoformat()
    assert ids(console.run(*by, "--until", until_).stdout) == ours[:2]
    table = console.run("history", "--job", "7", "--job", "8", "--account", "acme").stdout
    assert [line.split()[-1] for line in table.splitlines()[1:]] == [
        f"m-{number}" for number in range(7, count, JOBS)
    ]


def test_history_has_the_events_as_they_were_published(
    amqp_url: str,
    namespace: str,
    simulator: Simulator,
    new_worker: NewWorker,
    events: Subscriber,
    console: Console,
) -> None:
    simulator.answer("-33", name="taken")
    new_worker()
    edits = [edit(1), edit(2, name="taken"), edit(2, redialTimes=9), edit(3)]
    publish(amqp_url, namespace, edits)
    published = {event["id"]: event for event in until(lambda: _all(events, len(edits)))}
    told = console.run("history", "--json").stdout.splitlines()
    assert {event["id"]: event for event in map(json.loads, told)} == published
    by = ("history", "--json", "--outcome", "rejected", "--reason", "api_rejected")
    assert ids(console.run(*by).stdout) == ["m-1"]
    assert ids(console.run("history", "--json", "--message-id", "m-3").stdout) == ["m-3"]
    assert "rejected api_rejected -33" in " ".join(
        console.run("history", "--job", "2").stdout.split()
    )
    assert console.run("history", "--app", "other").stderr == "0 events.\n"


def test_of_a_job_that_waits_it_is_told_since_when_nothing_and_what_waits(
    amqp_url: str, namespace: str, new_worker: NewWorker, events: Subscriber, console: Console
) -> None:
    new_worker()
    publish(amqp_url, namespace, [edit(1)], ids="before")
    until(lambda: _all(events, 1))
    console.run("pause", "default", "--why", "INC-1")
    publish(amqp_url, namespace, [edit(2), edit(2), edit(3)], ids="later")
    said = console.run("history", "--job", "2")
    assert said.stdout == ""
    assert "0 events." in said.stderr
    assert "No event of job 2: since " in said.stderr
    assert "default has 3 waiting" in said.stderr
    assert "it is paused" in said.stderr
    assert "No event" not in console.run("history", "--job", "1").stderr


def test_watching_tells_events_as_they_happen(
    amqp_url: str, namespace: str, new_worker: NewWorker, events: Subscriber, console: Console
) -> None:
    new_worker()
    publish(amqp_url, namespace, [edit(1)], ids="before")
    until(lambda: _all(events, 1))
    watching = console.begun("watch", "--json", "--since", "1h", "--job", "1")
    assert watching.stdout is not None
    assert ids(watching.stdout.readline()) == ["before-0"]
    publish(amqp_url, namespace, [edit(2), edit(1)], ids="later")
    assert ids(watching.stdout.readline()) == ["later-1"]
    watching.send_signal(signal.SIGINT)
    out, err = watching.communicate(timeout=20)
    assert (out, err, watching.returncode) == ("", "", 0)


def test_without_a_stream_it_says_so_and_leaves_the_messages_alone(
    amqp_url: str, namespace: str, console: Console
) -> None:
    for command in ("history", "watch"):
        said = console.run(command, code=69).stderr
        assert f"There is no journal to read: there is no queue {namespace}.journal" in said
    with connected(amqp_url) as channel:
        channel.queue_declare(f"{namespace}.journal", durable=True)
        channel.basic_publish("", f"{namespace}.journal", b"not ours")
    for command in ("history", "watch"):
        assert f"{namespace}.journal is no stream" in console.run(command, code=69).stderr
    with connected(amqp_url) as channel:
        assert channel.basic_get(f"{namespace}.journal", auto_ack=True)[2] == b"not ours"


def _all(events: Subscriber, count: int) -> list[dict[str, object]] | None:
    found = events.take()
    return found if len(found) >= count else None
