"""A cluster of three nodes under load: the leader of a lane dies, and nothing is lost."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest
from pika.exceptions import NackError

from ops.rabbitmq.cluster import Cluster
from tests.acceptance.kit import Subscriber, edit, publish, until
from tests.conftest import since

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ops.rabbitmq.node import Node
    from ops.simulator.control import Simulator
    from tests.acceptance.conftest import NewWorker

SERVING_AGAIN_WITHIN = 15.0
WHERE_NODES_DIE = "consumer_disconnected_timeout = 5000"
"""As the runbook says: from 4.3 on a queue waits a minute for consumers of a node that is gone."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def cluster(broker: Node, tmp_path: Path, broker_root: Path | None) -> Iterator[Cluster]:
    folder = tmp_path / "cluster"
    folder.mkdir()
    config = WHERE_NODES_DIE if since(broker, 4, 3) else ""
    with Cluster(folder, root=broker_root, config=config) as started:
        yield started


@pytest.mark.parametrize("connected_to", ["the leader", "another node"])
def test_the_leader_of_a_lane_killed_under_load_loses_nothing(
    request: pytest.FixtureRequest,
    cluster: Cluster,
    namespace: str,
    simulator: Simulator,
    new_worker: NewWorker,
    connected_to: str,
) -> None:
    simulator.latency("20ms")
    lane = f"{namespace}.lane.default"
    new_worker(AMQP_URL=",".join(cluster.amqp_urls)).stop()
    leader = until(lambda: cluster.leader(lane))
    others = [node for node in cluster.nodes if node is not leader]
    nodes = [leader, *others] if connected_to == "the leader" else [*others, leader]
    new_worker(AMQP_URL=",".join(node.amqp_url for node in nodes), RATE="200/s")
    events = Subscriber(others[0].amqp_url, namespace)
    request.addfinalizer(events.close)
    url = others[0].amqp_url
    edits = [edit(1 + n % 30, name=f"{n:04}") for n in range(600)]
    ids = publish(url, namespace, edits, ids="before")
    until(lambda: len(events.take()) > 100)
    leader.kill()
    killed = monotonic()
    for number in range(50):
        ids += patiently(url, namespace, edit(1 + number % 30, name=f"9{number:03}"), number)
    left = SERVING_AGAIN_WITHIN - (monotonic() - killed)
    until(lambda: "after-0-0" in events.settled(), left, "it does not serve again")
    until(lambda: events.settled() == dict.fromkeys(ids, "applied"), 60)
    by_job: dict[int | None, list[str]] = {}
    for call in simulator.calls():
        by_job.setdefault(call.job, []).append(call.name or "")
    assert all(names == sorted(names) for names in by_job.values()), "a job is out of order"


def patiently(url: str, namespace: str, fields: dict[str, Any], number: int) -> list[str]:
    """Publish an edit until RabbitMQ takes it; while a queue has no leader, it does not."""
    while True:
        try:
            publish(url, namespace, [fields], ids=f"after-{number}")
        except NackError:
            continue
        return [f"after-{number}-0"]
