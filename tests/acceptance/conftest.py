"""A worker, a simulator and a subscriber on the shared RabbitMQ, ready for one test."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Protocol

import pytest

from ops.simulator.control import Simulator
from tests.acceptance.kit import KEY, SECRET, Subscriber, WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class NewWorker(Protocol):
    """Makes worker processes; settings as keywords, ``RATE="100/s"`` for TASKEDIT_RATE."""

    def __call__(self, *, ready: bool = True, **settings: str) -> WorkerProcess: ...


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """The provider's API, with one account and no limit worth noticing."""
    with Simulator("--account", f"{KEY}:{SECRET}", "--rate", "100000/s") as simulated:
        yield simulated


@pytest.fixture
def new_worker(
    amqp_url: str, namespace: str, simulator: Simulator, tmp_path: Path
) -> Iterator[NewWorker]:
    """As many workers as the test asks for, all of the same namespace."""
    with ExitStack() as stack:
        made: list[WorkerProcess] = []

        def started(*, ready: bool = True, **settings: str) -> WorkerProcess:
            folder = tmp_path / f"worker-{len(made)}"
            folder.mkdir()
            environment = {
                "AMQP_URL": amqp_url,
                "NAMESPACE": namespace,
                "API_URL": simulator.url,
                "API_KEY": KEY,
                "API_SECRET": SECRET,
                "RATE": "1000/s",
                "LOG_FORMAT": "json",
            }
            environment |= settings
            made.append(WorkerProcess(folder, {f"TASKEDIT_{k}": v for k, v in environment.items()}))
            worker = stack.enter_context(made[-1])
            if ready:
                worker.ready()
            return worker

        yield started


@pytest.fixture
def events(amqp_url: str, namespace: str, new_worker: NewWorker) -> Iterator[Subscriber]:
    """A subscriber to all events; asking for it starts a first worker, which declares them."""
    new_worker().stop()
    subscriber = Subscriber(amqp_url, namespace)
    yield subscriber
    subscriber.close()
