"""The control stream deleted, unreadable or never declared, and a worker that does not hear it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.console import Console
from tests.acceptance.kit import connected, edit, publish, until
from tests.chaos.proxy import Network, Weather
from tests.contract.deadletters.users import a_user

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ops.rabbitmq.node import Node
    from ops.simulator.control import Simulator
    from tests.acceptance.conftest import NewWorker
    from tests.acceptance.kit import Subscriber

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture
def console(amqp_url: str, namespace: str, tmp_path: Path) -> Console:
    settings = {"TASKEDIT_AMQP_URL": amqp_url, "TASKEDIT_NAMESPACE": namespace}
    return Console(settings, tmp_path)


def delete(amqp_url: str, *queues: str) -> None:
    with connected(amqp_url) as channel:
        for queue in queues:
            channel.queue_delete(queue)


def test_where_it_was_never_declared_edits_are_applied_and_a_pause_is_refused(
    new_worker: NewWorker, events: Subscriber, console: Console, amqp_url: str, namespace: str
) -> None:
    delete(amqp_url, f"{namespace}.control")
    worker = new_worker(DECLARE="false")
    publish(amqp_url, namespace, [edit(1)])
    until(lambda: events.settled() == {"m-0": "applied"})
    assert worker.lines("control_missing")
    said = console.run("pause", "default", "--why", "nobody hears", code=69).stderr
    assert f"no queue {namespace}.control" in said or f"no stream {namespace}.control" in said
    assert worker.lane()["state"] == "running"


@pytest.mark.parametrize("declare", ["true", "false"])
def test_deleted_beside_running_workers_what_was_paused_stays_so_until_it_is_resumed(
    new_worker: NewWorker,
    events: Subscriber,
    simulator: Simulator,
    console: Console,
    amqp_url: str,
    namespace: str,
    declare: str,
) -> None:
    worker = new_worker(DECLARE=declare, HEARTBEAT="1s")
    console.run("pause", "default", "--why", "an incident")
    delete(amqp_url, f"{namespace}.control")
    publish(amqp_url, namespace, [edit(1)])
    until(lambda: worker.lines("control_missing") or declare == "true")
    if declare == "false":
        console.run("topology", "apply", TASKEDIT_API_KEY="k", TASKEDIT_API_SECRET="s")
    until(lambda: f"{namespace}.control" not in worker.asked("/readyz")[1])
    assert worker.lane()["state"] == "paused"
    assert simulator.calls() == []
    until(lambda: console.code("resume", "default") == 0, 60)
    until(lambda: events.settled() == {"m-0": "applied"})


@pytest.fixture
def deaf(broker: Node, namespace: str) -> Iterator[str]:
    """The URL of a user who may do all but read the control stream."""
    with a_user(broker, configure=".*", write=".*", read=f"^(?!{namespace}[.]control$).*") as url:
        yield url


def test_unreadable_from_the_start_the_lane_waits_and_says_so(
    new_worker: NewWorker,
    events: Subscriber,
    simulator: Simulator,
    console: Console,
    broker: Node,
    deaf: str,
    namespace: str,
) -> None:
    worker = new_worker(ready=False, AMQP_URL=deaf)
    publish(broker.amqp_url, namespace, [edit(1)])
    until(lambda: "cannot be read" in worker.asked("/readyz")[1])
    status, why = worker.asked("/readyz")
    assert status == 503
    assert "lanes wait to know which accounts are paused" in why
    assert worker.asked("/livez")[0] == 200
    said = console.run("pause", "default", "--why", "not heard", code=75).stderr
    assert "No worker answered" in said
    assert simulator.calls() == []
    broker.ctl("set_permissions", "somebody", ".*", ".*", ".*")
    worker.ready(60)
    assert len(worker.lines("fleet_unreachable")) == 1, "it is said again and again"
    assert worker.lane()["state"] == "paused", "what was written meanwhile is not known"
    assert simulator.calls() == []
    console.run("resume", "default")
    until(lambda: events.settled() == {"m-0": "applied"})


def test_a_pause_has_not_returned_well_while_a_replica_goes_on_that_has_not_heard_it(
    new_worker: NewWorker,
    simulator: Simulator,
    events: Subscriber,
    console: Console,
    broker: Node,
    namespace: str,
) -> None:
    """The one that serves is cut off from the control stream alone; a stand-by hears it."""
    with Network() as network:
        proxy = network.proxy(broker.port)
        url = f"amqp://guest:guest@127.0.0.1:{proxy.port}/%2F"
        serving = new_worker(AMQP_URL=url, HEARTBEAT="20s", RATE="20/s")
        ids = publish(broker.amqp_url, namespace, [edit(1 + n % 20) for n in range(1500)])
        until(lambda: len(simulator.calls()) > 5)
        standby = new_worker(RATE="20/s")
        proxy.turn(Weather(still=True, only=b"worker fleet"))
        ended = console.code("pause", "default", "--why", "an incident")
        assert standby.lane()["state"] == "paused"
        assert serving.lane()["state"] == "running", "it has heard: the test proves nothing"
        assert ended == 75, "it said that nobody calls, and somebody does"
        proxy.turn(Weather())
        until(lambda: serving.lane()["state"] == "paused", 60)
        until(lambda: serving.lane()["held"] == 0)
        assert len(simulator.calls()) < len(ids)
        del events


def test_a_pause_for_some_seconds_is_over_after_them_though_no_worker_ran(
    new_worker: NewWorker, events: Subscriber, console: Console, amqp_url: str, namespace: str
) -> None:
    said = console.run("pause", "default", "--why", "a short one", "--for", "10s", code=75).stderr
    assert "No worker answered" in said
    publish(amqp_url, namespace, [edit(1)])
    [asked] = map(json.loads, console.run("audit", "--json").stdout.splitlines())
    over = datetime.fromisoformat(asked["filter"]["until"])
    until(lambda: datetime.now(UTC) > over, 60)
    worker = new_worker()
    assert not worker.lines("account_paused")
    until(lambda: events.settled() == {"m-0": "applied"})
