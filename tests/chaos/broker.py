"""RabbitMQ as a run sees it: one node, or three of which one dies at a time."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

import pika
from pika.adapters.utils.connection_workflow import AMQPConnectorException
from pika.exceptions import AMQPError

from ops.rabbitmq.layout import MANAGEMENT
from ops.rabbitmq.node import NodeError
from tests.chaos.names import LANE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ops.rabbitmq.cluster import Cluster
    from ops.rabbitmq.node import Node

TROUBLE = (AMQPError, AMQPConnectorException, OSError)
PLUGINS = (MANAGEMENT,)
"""What an operator needs to prune lanes."""
_ANSWERS_WITHIN = 5.0


class Broker(Protocol):
    """What can be done to RabbitMQ in a run."""

    @property
    def nodes(self) -> Sequence[Node]:
        """All of its nodes."""

    def victim(self) -> Node:
        """The node that the next fault is to strike."""

    def ctl(self, *arguments: str) -> None:
        """`rabbitmqctl`, for the whole of it."""


class One:
    """A single node."""

    def __init__(self, node: Node) -> None:
        self.nodes = (node,)

    def victim(self) -> Node:
        """The one there is."""
        return self.nodes[0]

    def ctl(self, *arguments: str) -> None:
        """On the one there is."""
        self.nodes[0].ctl(*arguments)


class Three:
    """A cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self.nodes = tuple(cluster.nodes)
        self._cluster = cluster

    def victim(self) -> Node:
        """Whichever leads the lane, or the first when none does."""
        with suppress(NodeError):
            leader = self._cluster.leader(LANE)
            if leader is not None:
                return leader
        return self.nodes[0]

    def ctl(self, *arguments: str) -> None:
        """On each: a memory limit is a node's own."""
        for node in self.nodes:
            node.ctl(*arguments)


def connection(broker: Broker) -> pika.BlockingConnection:
    """A connection to whichever node takes one; one of `TROUBLE` is raised when none does."""
    parameters = [pika.URLParameters(node.amqp_url) for node in broker.nodes if node.serving]
    for each in parameters:
        each.socket_timeout = each.stack_timeout = _ANSWERS_WITHIN
    if not parameters:
        raise ConnectionRefusedError("no node runs")
    return pika.BlockingConnection(parameters)
