"""Several private nodes that are one RabbitMQ."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Self

from ops.rabbitmq.node import Node
from ops.rabbitmq.portmapper import PortMapper

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType


class Cluster:
    """Nodes rabbit1, rabbit2, … on this machine, as a context manager.

    Quorum queues and streams that are declared once all have joined have a replica on each.
    The arguments are those of `Node`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        size: int = 3,
        config: str = "",
        plugins: Sequence[str] = (),
        root: Path | None = None,
    ) -> None:
        self._mapper = PortMapper(folder, root=root)
        self.nodes: list[Node] = []
        for number in range(1, size + 1):
            name = f"rabbit{number}"
            (folder / name).mkdir()
            node = Node(
                folder / name,
                name=name,
                config=config,
                plugins=plugins,
                root=root,
                mapper=self._mapper,
            )
            self.nodes.append(node)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def amqp_urls(self) -> list[str]:
        """One a node, in the order of `nodes`."""
        return [node.amqp_url for node in self.nodes]

    def start(self) -> None:
        """Start all nodes side by side and join them; to be called once."""
        self._mapper.start()
        with ThreadPoolExecutor(len(self.nodes)) as pool:
            list(pool.map(Node.start, self.nodes))
        first, *others = self.nodes
        for node in others:
            node.ctl("stop_app")
            node.ctl("join_cluster", first.name)
            node.ctl("start_app")

    def leader(self, queue: str) -> Node | None:
        """The node that leads a quorum queue of the virtual host /; None while none does."""
        witness = next(node for node in self.nodes if node.serving)
        lines = witness.ctl("list_queues", "name", "leader").splitlines()
        leaders = dict(line.split("\t") for line in lines[1:])
        return next((node for node in self.nodes if node.name == leaders.get(queue)), None)

    def close(self) -> None:
        """End all of it at once."""
        for node in self.nodes:
            node.close()
        self._mapper.stop()
