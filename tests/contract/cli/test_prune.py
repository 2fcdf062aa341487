"""Lanes of no account, and all objects, taken out of the real RabbitMQ."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pika
import pytest
from pika.exceptions import ChannelClosedByBroker

from tests.contract.cli.test_topology import shown, until
from tests.unit.cli.called import a_line, an_edit, surroundings, taskedit
from worker.amqp.topology import lane_arguments

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result
    from pika.adapters.blocking_connection import BlockingChannel

    from ops.rabbitmq.node import Node
    from schemas import Names

Environ = dict[str, str]
OWNER, OTHER = "APP1", "APP2"


@pytest.fixture
def managed(environ: Environ, broker: Node, tmp_path: Path) -> Environ:
    """Two accounts, `one` and `two`, with an appId each; everything is declared."""
    path = tmp_path / "accounts.toml"
    path.write_text(
        f'[accounts.one]\napi_key = "1"\napi_secret = "s"\napp_ids = ["{OWNER}"]\n'
        f'[accounts.two]\napi_key = "2"\napi_secret = "s"\napp_ids = ["{OTHER}"]\n'
    )
    alone = {"TASKEDIT_API_KEY", "TASKEDIT_API_SECRET", "TASKEDIT_APP_IDS"}
    found = {name: value for name, value in environ.items() if name not in alone} | {
        "TASKEDIT_MANAGEMENT_URL": broker.management_url,
        "TASKEDIT_ACCOUNTS_FILE": str(path),
        "TASKEDIT_STATE_DIR": str(tmp_path / "state"),
    }
    assert taskedit("topology", "apply", environ=found).exit_code == 0
    return found


@pytest.fixture
def old(managed: Environ, names: Names, channel: BlockingChannel) -> str:
    """The lane of the account that the settings had before they had an accounts file."""
    del managed
    queue = names.lane("default")
    channel.queue_declare(queue, durable=True, arguments=lane_arguments(names))
    channel.queue_bind(queue, names.exchange, "#")
    channel.confirm_delivery()
    return queue


def prune(environ: Environ, *options: str) -> Result:
    return taskedit("topology", "prune", *options, environ=environ)


def audit(environ: Environ) -> list[dict[str, Any]]:
    """Every operation that is recorded, in order."""
    lines = taskedit("audit", "--json", environ=environ).stdout.splitlines()
    return [json.loads(line) for line in lines]


def put(channel: BlockingChannel, queue: str, *bodies: str | bytes) -> None:
    for body in bodies:
        channel.basic_publish("", queue, body)


def numbered(count: int, app: str = OWNER) -> list[str]:
    return [a_line(appId=app, name=str(n)) for n in range(count)]


def bodies(channel: BlockingChannel, queue: str) -> list[bytes]:
    """All that is ready in the queue, in its order; it is taken."""
    wanted = ready(channel, queue) or 0
    found: list[bytes] = []
    if wanted:
        for method, _, body in channel.consume(queue):
            channel.basic_ack(method.delivery_tag or 0)
            found.append(body)
            if len(found) == wanted:
                break
        channel.cancel()
    return found


def names_of(channel: BlockingChannel, queue: str) -> list[str]:
    return [json.loads(body)["name"] for body in bodies(channel, queue)]


def ready(channel: BlockingChannel, queue: str) -> int | None:
    """How many are ready in the queue; None if there is no such queue."""
    asked = channel.connection.channel()
    try:
        count: int = asked.queue_declare(queue, passive=True).method.message_count
    except ChannelClosedByBroker as closed:
        if closed.reply_code != 404:
            raise
        return None
    asked.close()
    return count


def test_a_lane_of_no_account_is_shown_and_fails_the_doctor(
    managed: Environ, old: str, channel: BlockingChannel
) -> None:
    put(channel, old, *numbered(2))
    found = shown(managed)[f"quorum queue {old}"]
    assert found["state"] == "left over"
    assert found["detail"] == "no account owns it; edits in it: 2; bound by '#'"
    assert found["mend"] == "taskedit topology prune"
    assert taskedit("topology", "show", environ=managed).exit_code == 1
    lines = taskedit("doctor", "--json", environ=managed).stdout.splitlines()
    [check] = [one for one in map(json.loads, lines) if "left over" in one["says"]]
    assert check["health"] == "bad"
    assert old in check["says"]


@pytest.mark.usefixtures("old")
def test_by_amqp_alone_the_lane_default_is_seen_and_prune_says_what_it_needs(
    managed: Environ, names: Names
) -> None:
    blind = {name: value for name, value in managed.items() if "MANAGEMENT" not in name}
    found = shown(blind)[f"quorum queue {names.lane('default')}"]
    assert found["state"] == "left over"
    assert "AMQP cannot show by what it is bound" in found["detail"]
    result = prune(blind, "--yes")
    assert result.exit_code == 78
    assert "TASKEDIT_MANAGEMENT_URL" in result.stderr
    assert names.lane("default") in result.stdout


def test_edits_of_a_pruned_lane_go_in_order_to_where_they_belong(
    managed: Environ, old: str, names: Names, channel: BlockingChannel
) -> None:
    put(channel, names.lane("one"), *numbered(1))
    pairs = zip(numbered(5), numbered(5, OTHER), strict=True)
    put(channel, old, *(body for pair in pairs for body in pair))
    put(channel, old, a_line(appId="NOBODY", name="stray"), b"\xff", a_line(appId=OWNER, name="5"))
    channel.basic_publish(names.exchange, OTHER, json.dumps(an_edit(appId=None, name="keyed")))
    bodies(channel, names.lane("two"))  # the copy: both lanes were bound

    result = prune(managed, "--yes")

    assert result.exit_code == 0
    assert result.stdout.endswith(f"{old} is deleted; edits moved: 14\n")
    assert ready(channel, old) is None
    assert names_of(channel, names.lane("one")) == ["0", *map(str, range(6))]
    assert names_of(channel, names.lane("two")) == [*map(str, range(5)), "keyed"]
    assert len(bodies(channel, names.strays)) == 2
    assert {one["state"] for one in shown(managed).values()} == {"good"}


def test_a_moved_edit_is_as_it_was_and_tells_whose_lane_it_was_in(
    managed: Environ, old: str, names: Names, channel: BlockingChannel
) -> None:
    properties = pika.BasicProperties(
        message_id="m1", correlation_id="c1", headers={"own": 7}, delivery_mode=2
    )
    channel.basic_publish("", old, a_line(), properties)
    assert prune(managed, "--yes").exit_code == 0
    _, moved, body = next(channel.consume(names.lane("one")))
    assert body.decode() == a_line()
    assert (moved.message_id, moved.correlation_id, moved.delivery_mode) == ("m1", "c1", 2)
    came_by = {"taskedit-exchange": "", "taskedit-routing-key": old}
    assert moved.headers == {"own": 7, "taskedit-handed-on": "default", **came_by}


def test_who_pruned_why_and_what_came_of_it_is_recorded(
    managed: Environ, old: str, channel: BlockingChannel
) -> None:
    put(channel, old, *numbered(3))
    assert prune(managed, "--yes", "--why", "the account is renamed").exit_code == 0
    [one] = audit(managed)
    assert (one["action"], one["why"], one["user"]) == ("prune", "the account is renamed", "guest")
    assert one["actor"]
    assert one["filter"] == {"accounts": ["default"]}
    assert one["ended"]
    assert one["result"] == {"moved": {old: 3}}


def test_what_cannot_be_recorded_is_not_pruned(
    managed: Environ, old: str, names: Names, channel: BlockingChannel
) -> None:
    put(channel, old, *numbered(3))
    channel.queue_delete(names.operations)
    result = prune(managed, "--yes")
    assert result.exit_code == 1
    assert "taskedit topology apply" in result.stderr
    assert ready(channel, old) == 3


@pytest.mark.slow
def test_killed_in_the_middle_it_loses_nothing_and_keeps_the_order(
    managed: Environ, old: str, names: Names, channel: BlockingChannel
) -> None:
    count, lane = 300, names.lane("one")
    put(channel, old, *numbered(count))
    for left in (200, 100):
        running = subprocess.Popen(
            [sys.executable, "-m", "worker", "topology", "prune", "--yes"],
            env=surroundings(managed),
        )
        until(lambda left=left: (ready(channel, old) or 0) < left)  # type: ignore[misc]
        running.send_signal(signal.SIGKILL)
        assert running.wait() == -signal.SIGKILL
        until(lambda: channel.queue_declare(old, passive=True).method.consumer_count == 0)
    between = ready(channel, lane)
    assert between is not None
    assert 0 < between < count
    assert prune(managed, "--yes").exit_code == 0
    assert ready(channel, old) is None
    assert [one["ended"] is not None for one in audit(managed)] == [False, False, True]
    found = [int(name) for name in names_of(channel, lane)]
    assert sorted(set(found)) == list(range(count))
    assert found == sorted(found)
    assert len(found) <= count + 2, "more than the one in hand at each kill is there twice"


def test_a_lane_that_takes_no_more_ends_it_with_75_and_the_rest_stays(
    managed: Environ, old: str, names: Names, channel: BlockingChannel
) -> None:
    lane = names.lane("one")
    channel.queue_delete(lane)
    arguments = lane_arguments(names) | {"x-max-length": 2}
    channel.queue_declare(lane, durable=True, arguments=arguments)
    channel.queue_bind(lane, names.exchange, OWNER)
    put(channel, old, *numbered(9))
    result = prune(managed, "--yes")
    assert result.exit_code == 75
    assert f"No more edits of {old} go to {lane}: is it full" in result.stderr
    until(lambda: (ready(channel, old) or 0) + (ready(channel, lane) or 0) == 9)
    moved = names_of(channel, lane)
    assert moved + names_of(channel, old) == list(map(str, range(9)))


def test_a_lane_that_somebody_consumes_is_left_alone(
    managed: Environ, old: str, channel: BlockingChannel
) -> None:
    channel.basic_consume(old, print)
    put(channel, old, a_line())
    assert shown(managed)[f"quorum queue {old}"]["state"] == "unverified"
    assert prune(managed, "--yes").exit_code == 0
    assert ready(channel, old) is not None


def test_an_owner_that_is_not_bound_yet_comes_first(
    managed: Environ, old: str, names: Names, channel: BlockingChannel
) -> None:
    channel.queue_unbind(names.lane("one"), names.exchange, OWNER)
    result = prune(managed, "--yes")
    assert result.exit_code == 1
    assert "taskedit topology apply" in result.stderr
    assert ready(channel, old) == 0


def test_nobody_to_ask_and_no_yes_changes_nothing(
    managed: Environ, old: str, channel: BlockingChannel
) -> None:
    for call in ("prune", "delete"):
        result = taskedit("topology", call, environ=managed)
        assert result.exit_code == 2
        assert "--yes" in result.stderr
    assert ready(channel, old) == 0


def test_uninstalling_leaves_nothing_in_rabbitmq(
    managed: Environ, old: str, names: Names, broker: Node
) -> None:
    assert taskedit("topology", "delete", "--yes", environ=managed).exit_code == 0
    left = broker.ctl("list_queues", "name", "--silent") + broker.ctl(
        "list_exchanges", "name", "--silent"
    )
    assert names.namespace not in left
    assert old not in left
    assert taskedit("topology", "delete", "--yes", environ=managed).exit_code == 0


def test_uninstalling_throws_no_edit_or_letter_away_unless_forced(
    managed: Environ, names: Names, channel: BlockingChannel
) -> None:
    channel.confirm_delivery()
    for queue in (names.lane("one"), names.dead, names.strays):
        put(channel, queue, a_line())
        result = taskedit("topology", "delete", "--yes", environ=managed)
        assert result.exit_code == 1
        assert f"{queue}: messages: 1, consumers: 0" in result.stderr
        assert {one["state"] for one in shown(managed).values()} == {"good"}
        assert bodies(channel, queue) == [a_line().encode()]
    put(channel, names.dead, a_line())
    assert taskedit("topology", "delete", "--yes", "--force", environ=managed).exit_code == 0
    assert ready(channel, names.dead) is None


def test_records_alone_do_not_keep_it_from_uninstalling(
    managed: Environ, names: Names, channel: BlockingChannel
) -> None:
    channel.confirm_delivery()
    channel.basic_publish(names.events, "applied.APP1", b"{}")
    assert taskedit("topology", "delete", "--yes", environ=managed).exit_code == 0
    assert ready(channel, names.journal) is None
