from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pika
import pytest

from schemas import read_event
from tests.contract.cli.stand_in import stand_in
from tests.unit.cli.called import a_line, surroundings, taskedit
from worker.amqp.codec import WireProperties

if TYPE_CHECKING:
    from pathlib import Path

    from pika.adapters.blocking_connection import BlockingChannel

    from schemas import Names
    from tests.conftest import NewNode
    from worker.core.message import Properties

Environ = dict[str, str]


def taken(channel: BlockingChannel, queue: str, count: int) -> list[tuple[str, Properties, bytes]]:
    """Routing key, properties and body of all that is in a queue; it is empty then."""
    await_messages(channel, queue, count)
    found = []
    for method, properties, body in channel.consume(queue, auto_ack=True, inactivity_timeout=5):
        assert method is not None
        assert isinstance(properties, WireProperties)
        found.append((str(method.routing_key), properties.core, body or b""))
        if len(found) == count:
            break
    channel.cancel()
    return found


def await_messages(channel: BlockingChannel, queue: str, at_least: int) -> int:
    deadline, found = time.monotonic() + 20, -1
    while found < at_least:
        found = channel.queue_declare(queue, passive=True).method.message_count
        assert time.monotonic() < deadline, f"{queue} has {found} messages, not {at_least}"
        channel.connection.process_data_events(0.02)
    return found


@pytest.mark.usefixtures("topology")
def test_edits_are_published_in_order_byte_for_byte_persistent_and_with_an_id(
    environ: Environ, channel: BlockingChannel, names: Names
) -> None:
    lines = [a_line(jobId=job).replace(",", ",  ") for job in range(1, 301)]
    result = taskedit("publish", "-", stdin="".join(lines), environ=environ)
    assert (result.exit_code, result.stdout.split()) == (0, ["300", "confirmed"])
    found = taken(channel, names.lane("default"), 300)
    assert [body.decode() + "\n" for _, _, body in found] == lines
    assert {key for key, _, _ in found} == {"APP1"}
    assert len({properties.message_id for _, properties, _ in found}) == 300
    kinds = {(properties.content_type, properties.delivery_mode) for _, properties, _ in found}
    assert kinds == {("application/json", 2)}


@pytest.mark.usefixtures("topology")
def test_a_prefix_gives_the_same_ids_each_time(
    environ: Environ, channel: BlockingChannel, names: Names
) -> None:
    for _ in range(2):
        call = ("publish", "-", "--message-id-prefix", "batch-7.")
        assert taskedit(*call, stdin=a_line() + a_line(), environ=environ).exit_code == 0
    found = taken(channel, names.lane("default"), 4)
    ids = [properties.message_id for _, properties, _ in found]
    assert ids == ["batch-7.1", "batch-7.2"] * 2


@pytest.mark.usefixtures("topology")
def test_an_account_is_published_to_by_its_lane_and_needs_no_app_id(
    environ: Environ, channel: BlockingChannel, names: Names
) -> None:
    call = ("publish", "-", "--account", "default", "--app-id", "APP1")
    assert taskedit(*call, stdin=a_line(appId=None), environ=environ).exit_code == 0
    [(key, _, _)] = taken(channel, names.lane("default"), 1)
    assert key == names.lane("default")


@pytest.mark.usefixtures("topology")
def test_waiting_ends_with_every_outcome(environ: Environ, amqp_url: str, names: Names) -> None:
    stdin = "".join(a_line(jobId=job) for job in range(1, 101))
    with stand_in(amqp_url, names, rejects=lambda _: False):
        result = taskedit("publish", "-", "--wait", stdin=stdin, environ=environ)
    assert (result.exit_code, result.stdout.split()) == (0, ["100", "applied"])
    assert result.stderr == ""  # no progress bar off a terminal


@pytest.mark.usefixtures("topology")
def test_a_rejected_edit_is_counted_by_its_reason_and_told_with_its_place(
    environ: Environ, amqp_url: str, names: Names
) -> None:
    stdin = "".join(a_line(jobId=job) for job in range(1, 31))
    with stand_in(amqp_url, names, rejects=lambda job: job % 10 == 0):
        result = taskedit("publish", "-", "--wait", stdin=stdin, environ=environ)
    assert result.exit_code == 1
    applied, rejected = result.stdout.splitlines()
    assert applied.split() == ["27", "applied"]
    assert rejected.split() == ["3", "rejected:", "api_rejected", "-33"]
    assert "-:20, job 20: the API answered -33 (name already exists)" in result.stderr


@pytest.mark.usefixtures("topology")
def test_json_prints_the_events_as_they_were_published_and_the_summary_beside_them(
    environ: Environ, amqp_url: str, names: Names
) -> None:
    stdin = a_line(jobId=1) + a_line(jobId=2)
    with stand_in(amqp_url, names, rejects=lambda job: job == 2):
        result = taskedit("publish", "-", "--wait", "--json", stdin=stdin, environ=environ)
    assert result.exit_code == 1
    events = [read_event(line) for line in result.stdout.splitlines()]
    assert [(each.data.jobId, each.data.outcome) for each in events] == [
        (1, "applied"),
        (2, "rejected"),
    ]
    summary = [line.split(maxsplit=1) for line in result.stderr.splitlines()[:2]]
    assert summary == [["1", "applied"], ["1", "rejected: api_rejected -33"]]


@pytest.mark.usefixtures("topology")
def test_nothing_is_published_when_one_is_bad_unless_the_bad_are_skipped(
    environ: Environ, channel: BlockingChannel, names: Names
) -> None:
    stdin = a_line(jobId=1) + a_line(jobId=0) + a_line(jobId=3)
    result = taskedit("publish", "-", stdin=stdin, environ=environ)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "-:2, jobId: " in result.stderr
    assert "nothing was published" in result.stderr
    assert await_messages(channel, names.lane("default"), 0) == 0

    result = taskedit("publish", "-", "--skip-invalid", stdin=stdin, environ=environ)
    assert result.exit_code == 1
    assert "-:2, jobId: " in result.stderr
    found = taken(channel, names.lane("default"), 2)
    jobs = [json.loads(body)["jobId"] for _, _, body in found]
    assert jobs == [1, 3]


@pytest.mark.usefixtures("topology")
def test_without_a_worker_the_waiting_ends_with_75(environ: Environ) -> None:
    call = ("publish", "-", "--wait", "--timeout", "300ms")
    result = taskedit(*call, stdin=a_line(), environ=environ)
    assert (result.exit_code, result.stdout.split()) == (75, ["1", "no", "outcome", "yet"])
    assert "does a worker run?" in result.stderr


@pytest.mark.parametrize("arguments", [(), ("--wait",), ("--account", "default")])
def test_without_the_topology_it_ends_with_69_and_says_what_declares_it(
    environ: Environ, arguments: tuple[str, ...]
) -> None:
    result = taskedit("publish", "-", *arguments, stdin=a_line(), environ=environ)
    assert result.exit_code == 69
    assert "taskedit topology apply" in result.stderr
    assert "Not sent: 1 of 1, from -:1 on." in result.stderr


@pytest.mark.parametrize("arguments", [(), ("--wait",)])
def test_what_no_queue_takes_is_unroutable(
    environ: Environ, channel: BlockingChannel, names: Names, arguments: tuple[str, ...]
) -> None:
    channel.exchange_declare(names.exchange, "topic", durable=True)
    channel.exchange_declare(names.events, "topic", durable=True)
    channel.queue_declare(names.lane("default"), durable=True)
    channel.queue_bind(names.lane("default"), names.exchange, "APP1")
    stdin = a_line(jobId=1, appId="OTHER") * 3
    result = taskedit("publish", "-", *arguments, stdin=stdin, environ=environ)
    assert result.exit_code == 1
    assert result.stdout.split()[:2] == ["3", "unroutable:"]
    assert "-:3, job 1: unroutable" in result.stderr


def test_what_a_full_queue_refuses_is_told(
    environ: Environ, channel: BlockingChannel, names: Names
) -> None:
    channel.exchange_declare(names.exchange, "fanout", durable=True)
    full = {"x-max-length": 1, "x-overflow": "reject-publish"}
    channel.queue_declare(names.lane("default"), durable=True, arguments=full)
    channel.queue_bind(names.lane("default"), names.exchange)
    result = taskedit("publish", "-", stdin=a_line() * 20, environ=environ)
    assert result.exit_code == 1
    assert re.search(r"\d+  refused by RabbitMQ", result.stdout)


def test_without_a_broker_it_ends_with_69(port: int) -> None:
    environ = {"TASKEDIT_AMQP_URL": f"amqp://someone:a-secret@127.0.0.1:{port}/%2F"}
    result = taskedit("publish", "-", stdin=a_line(), environ=environ)
    assert result.exit_code == 69
    assert f"127.0.0.1:{port}" in result.stderr
    assert "a-secret" not in result.output


@pytest.mark.usefixtures("topology")
def test_the_second_address_is_taken_when_nobody_is_at_the_first(
    environ: Environ, port: int
) -> None:
    both = f"amqp://127.0.0.1:{port}/%2F,{environ['TASKEDIT_AMQP_URL']}"
    environ = environ | {"TASKEDIT_AMQP_URL": both}
    assert taskedit("publish", "-", stdin=a_line(), environ=environ).exit_code == 0


@pytest.mark.usefixtures("topology")
def test_ctrl_c_says_what_was_sent_and_what_was_not(
    environ: Environ, channel: BlockingChannel, names: Names, tmp_path: Path
) -> None:
    file = tmp_path / "edits.jsonl"
    file.write_text("".join(a_line(jobId=job) for job in range(1, 1001)))
    with subprocess.Popen(
        [sys.executable, "-m", "worker", "publish", str(file), "--rate", "50/s"],
        env=surroundings(environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        await_messages(channel, names.lane("default"), 3)
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=20)
    assert child.returncode == 1
    counts = {line.split(maxsplit=1)[1]: int(line.split()[0]) for line in out.splitlines()}
    sent = counts["confirmed"]
    assert counts["not confirmed"] == 1000 - sent > 0
    assert await_messages(channel, names.lane("default"), sent) == sent
    assert f"Not sent: {1000 - sent} of 1000, from {file}:{sent + 1} on." in err
    assert "Traceback" not in err


def test_a_broker_that_dies_in_the_middle_ends_it_with_69(
    new_node: NewNode, tmp_path: Path
) -> None:
    node = new_node()
    environ = {"TASKEDIT_AMQP_URL": node.amqp_url}
    file = tmp_path / "edits.jsonl"
    file.write_text(a_line() * 1000)
    connection = pika.BlockingConnection(pika.URLParameters(node.amqp_url))
    channel = connection.channel()
    channel.exchange_declare("task-edit", "fanout", durable=True)
    channel.queue_declare("lane", durable=True)
    channel.queue_bind("lane", "task-edit")
    with subprocess.Popen(
        [sys.executable, "-m", "worker", "publish", str(file), "--rate", "50/s"],
        env=surroundings(environ),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        await_messages(channel, "lane", 3)
        connection.close()
        node.kill()
        _, err = child.communicate(timeout=30)
    assert child.returncode == 69
    assert "Lost the connection" in err
    assert "Not sent:" in err


@pytest.mark.usefixtures("topology")
def test_an_edit_whose_app_id_no_routing_key_holds_is_published_all_the_same(
    environ: Environ, channel: BlockingChannel, names: Names
) -> None:
    result = taskedit("publish", "-", stdin=a_line(appId="A" * 300), environ=environ)
    assert (result.exit_code, result.stdout.split()) == (0, ["1", "confirmed"])
    [(key, _, _)] = taken(channel, names.strays, 1)
    assert key == "_"
