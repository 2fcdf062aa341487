"""From RabbitMQ 4.0 on, lanes spread over the replicas by themselves, and change hands in order."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from contextlib import closing
from itertools import cycle, pairwise
from threading import Event, Thread
from typing import TYPE_CHECKING, Protocol

import pika
import pytest
from pika.exceptions import NackError

from ops.rabbitmq.cluster import Cluster
from tests.acceptance.kit import Subscriber, connected, edit, until
from tests.conftest import since, sweep

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ops.rabbitmq.node import Node
    from ops.simulator.control import Call, Simulator
    from tests.acceptance.conftest import NewWorker
    from tests.acceptance.kit import WorkerProcess

NAMES = ("east", "west", "north", "south")
ACCOUNTS, JOBS, RATE = 30, 3, 20
FEWEST, MOST = 6, 14
EVEN_WITHIN = 60.0
PACE = 0.006
"""Seconds between two edits that are published: 160 a second, a quarter of all limits together."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


class NewReplica(Protocol):
    """Makes a replica of that name."""

    def __call__(self, name: str, **settings: str) -> WorkerProcess: ...


@pytest.fixture
def namespace(broker: Node) -> Iterator[str]:
    """The same in each run: it decides which replica draws which lane."""
    if not since(broker, 4) or since(broker, 4, 3):
        pytest.skip("on this RabbitMQ one replica serves all lanes")
    sweep(broker, "spread")
    yield "spread"
    sweep(broker, "spread")


@pytest.fixture
def new_replica(simulator: Simulator, new_worker: NewWorker, tmp_path: Path) -> NewReplica:
    """Replicas of a fleet that serves thirty accounts."""
    names = [f"account-{number:02}" for number in range(ACCOUNTS)]
    for name in names:
        simulator.account(f"key-{name}", f"secret-{name}", rate=f"{RATE}/s")
    simulator.latency("20ms")
    path = tmp_path / "accounts.toml"
    path.write_text(
        "".join(
            f'[accounts.{name}]\napi_key = "key-{name}"\napi_secret = "secret-{name}"\n'
            f'app_ids = ["{name}"]\nrate = "{RATE}/s"\n'
            for name in names
        )
    )

    def started(name: str, **settings: str) -> WorkerProcess:
        return new_worker(
            ready=True,
            API_KEY="",
            API_SECRET="",
            ACCOUNTS_FILE=str(path),
            HEARTBEAT="1s",
            REPLICA=name,
            **settings,
        )

    return started


class Publishers(Thread):
    """Publishes edits of all accounts in turn, until it is told to end."""

    def __init__(self, url: str, exchange: str) -> None:
        super().__init__(daemon=True)
        self._url, self._exchange = url, exchange
        self._ending = Event()
        self.ids: list[str] = []

    def run(self) -> None:
        with connected(self._url) as channel:
            channel.confirm_delivery()
            for number, account in enumerate(cycle(range(ACCOUNTS))):
                if self._ending.wait(PACE):
                    return
                app, name = f"account-{account:02}", f"{number:06}"
                body = json.dumps(edit(1 + number // ACCOUNTS % JOBS, appId=app, name=name))
                properties = pika.BasicProperties(message_id=name, delivery_mode=2)
                while not self._ending.is_set():
                    try:
                        channel.basic_publish(self._exchange, app, body.encode(), properties)
                    except NackError:
                        continue  # the queue has no leader for a moment
                    self.ids.append(name)
                    break

    def end(self) -> None:
        self._ending.set()
        self.join(10)


def served(worker: WorkerProcess) -> set[str]:
    """The accounts whose lanes a replica works on."""
    status, text = worker.asked("/lanes")
    return {name for name, lane in json.loads(text).items() if lane["open"]} if status else set()


def even(*workers: WorkerProcess) -> bool:
    """Whether these serve all lanes, each one and about its share."""
    shares = [served(worker) for worker in workers]
    whole = Counter(name for share in shares for name in share)
    fair = len(workers) < 3 or all(FEWEST <= len(share) <= MOST for share in shares)
    return len(whole) == ACCOUNTS and set(whole.values()) == {1} and fair


def test_lanes_spread_and_move_and_nothing_is_lost_doubled_or_called_too_fast(
    amqp_url: str, namespace: str, simulator: Simulator, new_replica: NewReplica
) -> None:
    first = new_replica(NAMES[0])
    events = Subscriber(amqp_url, namespace)
    publishers = Publishers(amqp_url, namespace)
    publishers.start()
    until(lambda: even(first), EVEN_WITHIN, "one replica does not serve all lanes")

    second, third = new_replica(NAMES[1]), new_replica(NAMES[2])
    until(lambda: even(first, second, third), EVEN_WITHIN, "not even after two have joined")
    first.kill()
    until(lambda: even(second, third), EVEN_WITHIN, "not taken over after a kill")
    fourth = new_replica(NAMES[3])
    until(lambda: even(second, third, fourth), EVEN_WITHIN, "not even after one was added")
    assert second.stop() == 0
    until(lambda: even(third, fourth), EVEN_WITHIN, "not taken over after a SIGTERM")
    second.start()
    until(lambda: even(second, third, fourth), EVEN_WITHIN, "not even after a restart")

    publishers.end()
    until(
        lambda: events.settled() == dict.fromkeys(publishers.ids, "applied"),
        EVEN_WITHIN,
        "an edit has no outcome, or another one",
    )
    calls = simulator.calls()
    assert not any(call.throttled for call in calls)
    in_order(calls)
    one_replica_at_a_time(calls, (first, second, third, fourth))


def test_a_node_of_a_cluster_dies_and_lanes_are_even_again(
    namespace: str,
    simulator: Simulator,
    new_replica: NewReplica,
    broker_root: Path | None,
    tmp_path: Path,
) -> None:
    """An edit may be published twice while its queue has no leader: a repeat is settled as one."""
    folder = tmp_path / "cluster"
    folder.mkdir()
    with Cluster(folder, root=broker_root) as cluster:
        urls = ",".join(cluster.amqp_urls)
        replicas = [new_replica(name, AMQP_URL=urls) for name in NAMES[:3]]
        survivor = cluster.amqp_urls[-1]
        with closing(Subscriber(survivor, namespace)) as events:
            publishers = Publishers(survivor, namespace)
            publishers.start()
            until(lambda: even(*replicas), EVEN_WITHIN, "not even at first")
            cluster.nodes[0].kill()
            known = len(publishers.ids)
            until(lambda: len(publishers.ids) > known + 3 * ACCOUNTS, EVEN_WITHIN, "none is taken")
            until(lambda: even(*replicas), EVEN_WITHIN, "not even after a node was killed")
            publishers.end()
            until(
                lambda: events.settled() == dict.fromkeys(publishers.ids, "applied"),
                EVEN_WITHIN,
                "an edit has no outcome, or another one",
            )
        calls = simulator.calls()
    assert not any(call.throttled for call in calls)
    in_order(calls)


def in_order(calls: list[Call]) -> None:
    """Each job's calls go in the order of their names and side by side with none."""
    last: dict[tuple[str | None, int | None], str] = {}
    for call in calls:
        assert not call.overlap
        job, name = (call.account, call.job), call.name or ""
        assert name >= last.get(job, "")
        last[job] = name


def one_replica_at_a_time(calls: list[Call], workers: tuple[WorkerProcess, ...]) -> None:
    """No lane is called by two: by who settled each, as the logs tell."""
    by = {
        line["message_id"]: number
        for number, worker in enumerate(workers)
        for line in worker.lines("edit")
    }
    of_lane = defaultdict(list)
    for call in calls:
        if call.name in by:
            of_lane[call.account].append((call, by[call.name]))
    changes = [
        (before, after)
        for lane in of_lane.values()
        for (before, one), (after, other) in pairwise(lane)
        if one != other
    ]
    assert len(changes) > ACCOUNTS
    assert all(
        before.ended is not None and after.arrived > before.ended for before, after in changes
    )
