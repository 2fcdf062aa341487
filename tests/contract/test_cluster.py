"""Three private nodes are one RabbitMQ, on each version."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from ops.rabbitmq.cluster import Cluster
from tests.contract.test_node import PATIENCE, keep, taken

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.timeout(180)]


def test_what_was_confirmed_outlives_the_leader(tmp_path: Path, broker_root: Path | None) -> None:
    with Cluster(tmp_path, root=broker_root) as cluster:
        keep(cluster.nodes[0], "kept", b"edit")
        leader = cluster.leader("kept")

        assert leader is not None
        leader.kill()

        deadline = time.monotonic() + PATIENCE
        while (successor := cluster.leader("kept")) in {None, leader}:
            assert time.monotonic() < deadline, "no other leader was elected"
        assert successor is not None
        assert taken(successor, "kept") == b"edit"
        leader.start()
        members = leader.ctl("list_queues", "name", "members")
        assert all(node.name in members for node in cluster.nodes)
