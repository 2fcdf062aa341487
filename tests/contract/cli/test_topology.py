from __future__ import annotations

import json
import time
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pika
import pytest
import requests
from pika.exceptions import ChannelClosedByBroker

from tests.conftest import since
from tests.unit.cli.called import taskedit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pika.adapters.blocking_connection import BlockingChannel

    from ops.rabbitmq.node import Node
    from schemas import Names

Environ = dict[str, str]


@pytest.fixture
def managed(environ: Environ, broker: Node) -> Environ:
    return environ | {"TASKEDIT_MANAGEMENT_URL": broker.management_url}


@pytest.fixture
def user(broker: Node, namespace: str) -> Iterator[str]:
    """A user without any permission; its password is its name."""
    url = f"{broker.management_url}/api/users/{namespace}"
    requests.put(url, json={"password": namespace, "tags": ""}, timeout=10).raise_for_status()
    yield namespace
    requests.delete(url, timeout=10)


def shown(environ: Environ) -> dict[str, dict[str, Any]]:
    lines = taskedit("topology", "show", "--json", environ=environ).stdout.splitlines()
    found = map(json.loads, lines)
    return {each["object"]: each for each in found}


def states(environ: Environ) -> set[str]:
    return {each["state"] for each in shown(environ).values()}


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_nothing_is_there_then_everything(environ: Environ) -> None:
    before = taskedit("topology", "show", environ=environ)
    assert before.exit_code == 1
    assert "Fix what is missing: taskedit topology apply" in before.stdout

    assert taskedit("topology", "apply", environ=environ).exit_code == 0
    after = taskedit("topology", "show", environ=environ)
    assert after.exit_code == 0
    assert states(environ) == {"good", "unverified"}
    unverified = [each for each in shown(environ).values() if each["state"] == "unverified"]
    assert all("binding" in each["object"] for each in unverified)


def test_showing_declares_nothing(environ: Environ, channel: BlockingChannel) -> None:
    shown(environ)
    with pytest.raises(ChannelClosedByBroker, match="NOT_FOUND"):
        channel.exchange_declare(environ["TASKEDIT_NAMESPACE"], passive=True)


@pytest.mark.usefixtures("topology")
def test_with_management_everything_is_verified(managed: Environ) -> None:
    assert states(managed) == {"good"}


def test_other_arguments_are_named_with_both_values_and_what_to_do(
    environ: Environ, channel: BlockingChannel, names: Names
) -> None:
    channel.queue_declare(
        names.dead, durable=True, arguments={"x-queue-type": "quorum", "x-delivery-limit": 20}
    )
    for call in ("apply", "show"):
        result = taskedit("topology", call, environ=environ)
        assert result.exit_code == 1
        [line] = [line for line in result.stdout.splitlines() if line.startswith("differs")]
        assert all(word in line for word in ("x-delivery-limit", "'2147483647'", "'20'"))
        assert f"rabbitmqctl delete_queue -p / {names.dead} &&" in result.stdout


def test_management_shows_what_amqp_before_4_3_does_not_compare(
    environ: Environ, managed: Environ, broker: Node, channel: BlockingChannel, names: Names
) -> None:
    taskedit("topology", "apply", environ=environ)
    lane = names.lane("default")
    channel.queue_delete(lane)
    arguments = {
        "x-queue-type": "quorum",
        "x-single-active-consumer": True,
        "x-delivery-limit": 1000,
        "x-consumer-timeout": 60_000,
        "x-dead-letter-exchange": names.strays,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
    channel.queue_declare(lane, durable=True, arguments=arguments)
    channel.queue_bind(lane, names.exchange, "OTHER")
    queue = f"quorum queue {lane}"
    assert shown(environ)[queue]["state"] == ("differs" if since(broker, 4, 3) else "good")
    found = shown(managed)
    assert found[queue]["state"] == "differs"
    detail = found[queue]["detail"]
    assert detail == "x-consumer-timeout should be 3600000, and is 60000"
    assert found[f"binding from {names.exchange} to {lane} by 'APP1'"]["state"] == "missing"
    assert found[f"no binding from {names.exchange} to {lane} by 'OTHER'"]["state"] == "differs"


@pytest.mark.usefixtures("topology")
def test_a_lane_is_unbound_from_what_is_not_its_own(
    managed: Environ, channel: BlockingChannel, names: Names
) -> None:
    channel.queue_bind(names.lane("default"), names.exchange, "OTHER")
    assert states(managed) == {"good", "differs"}
    assert taskedit("topology", "apply", environ=managed).exit_code == 0
    assert states(managed) == {"good"}


@pytest.mark.usefixtures("topology")
def test_a_policy_that_would_lose_dead_letters_is_found(
    managed: Environ, broker: Node, names: Names
) -> None:
    url = f"{broker.management_url}/api/policies/%2F/{quote(names.namespace)}"
    policy = {"pattern": f"^{names.dead}$", "definition": {"message-ttl": 60_000}}
    requests.put(url, json=policy, timeout=10).raise_for_status()
    try:
        until(lambda: shown(managed)[f"quorum queue {names.dead}"]["state"] == "differs")
        found = shown(managed)[f"quorum queue {names.dead}"]
        assert "message-ttl 60000" in found["detail"]
        assert found["mend"] == f"rabbitmqctl clear_policy -p / {names.namespace}"
    finally:
        requests.delete(url, timeout=10)


def test_what_is_exported_can_be_imported(managed: Environ, broker: Node) -> None:
    exported = taskedit("topology", "export", environ=managed).stdout
    url = f"{broker.management_url}/api/definitions"
    requests.post(url, json=json.loads(exported), timeout=10).raise_for_status()
    assert states(managed) == {"good"}


@pytest.mark.parametrize("declare", ["true", "false"])
def test_the_exported_permissions_are_enough_and_no_more(
    environ: Environ, broker: Node, names: Names, user: str, declare: str
) -> None:
    environ = environ | {"TASKEDIT_DECLARE": declare}
    exported = taskedit("topology", "export", "--user", user, environ=environ).stdout
    definitions = json.loads(exported)
    url = f"{broker.management_url}/api/definitions"
    requests.post(url, json=definitions, timeout=10).raise_for_status()

    own = environ | {"TASKEDIT_AMQP_URL": f"amqp://{user}:{user}@127.0.0.1:{broker.port}/%2F"}
    if declare == "true":
        assert taskedit("topology", "apply", environ=own).exit_code == 0
    url = own["TASKEDIT_AMQP_URL"]
    for queue in (names.lane("default"), names.strays):
        assert may(url, partial(_consume, queue=queue))
    for exchange in (names.events, names.dead, ""):
        assert may(url, partial(_publish, exchange=exchange))
    assert not may(url, partial(_publish, exchange="amq.topic"))
    assert not may(url, lambda channel: channel.queue_declare(f"{names.namespace}.more"))
    assert may(url, lambda channel: channel.queue_delete(names.dead)) is (declare == "true")


def may(url: str, act: Callable[[BlockingChannel], object]) -> bool:
    """Whether RabbitMQ lets the user do it."""
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        try:
            act(connection.channel())
        except ChannelClosedByBroker as closed:
            if closed.reply_code != 403:
                raise
            return False
        return True


def _consume(channel: BlockingChannel, queue: str) -> None:
    channel.basic_consume(queue, print)


def _publish(channel: BlockingChannel, exchange: str) -> None:
    channel.confirm_delivery()
    channel.basic_publish(exchange, "no-queue-has-this-key", b"")


def test_a_user_that_may_not_declare_is_told_what_is_unverified(
    environ: Environ, broker: Node, user: str
) -> None:
    taskedit("topology", "apply", environ=environ)
    where = f"{broker.management_url}/api/permissions/%2F/{user}"
    nothing = {"configure": "^$", "write": "^$", "read": "^$"}
    requests.put(where, json=nothing, timeout=10).raise_for_status()
    own = environ | {"TASKEDIT_AMQP_URL": f"amqp://{user}:{user}@127.0.0.1:{broker.port}/%2F"}
    found = shown(own)
    assert {each["state"] for each in found.values()} == {"unverified"}
    assert any("ACCESS_REFUSED" in each["detail"] for each in found.values())


def test_without_a_broker_it_ends_with_69(environ: Environ, port: int) -> None:
    away = environ | {"TASKEDIT_AMQP_URL": f"amqp://guest:a-secret@127.0.0.1:{port}/%2F"}
    for call in ("show", "apply"):
        result = taskedit("topology", call, environ=away)
        assert result.exit_code == 69
        assert f"127.0.0.1:{port}" in result.stderr
        assert "a-secret" not in result.output
