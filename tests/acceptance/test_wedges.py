"""Every way in which a consumer can be alive and consume nothing is mended, or ends the process.

An I/O thread that stands still is in test_watchdog.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.kit import connected, edit, publish, until

if TYPE_CHECKING:
    from ops.rabbitmq.node import Node
    from ops.simulator.control import Simulator
    from tests.acceptance.conftest import NewWorker
    from tests.acceptance.kit import Subscriber, WorkerProcess

SECONDS = 10.0
"""Within which all is well again."""


@pytest.fixture
def sabotaged(new_worker: NewWorker, events: Subscriber) -> WorkerProcess:
    """A worker that is not started yet: the test says how SIGUSR2 shall break it."""
    del events
    worker = new_worker()
    worker.stop()
    worker.arguments = ("-m", "tests.acceptance.sabotaged", "run")
    return worker


def goes_on(url: str, namespace: str, events: Subscriber) -> None:
    """Fail unless an edit published now is applied."""
    publish(url, namespace, [edit(1)], ids="afterwards")
    until(lambda: "afterwards-0" in events.settled(), SECONDS, "it consumes nothing any more")


@pytest.mark.parametrize("way", ["closes_channels", "closes_the_publisher"])
def test_a_channel_that_rabbitmq_closes_is_opened_again(
    amqp_url: str, namespace: str, sabotaged: WorkerProcess, events: Subscriber, way: str
) -> None:
    sabotaged.environment = {**sabotaged.environment, "SABOTAGE": way}
    sabotaged.start()
    sabotaged.ready()
    ids = publish(amqp_url, namespace, [edit(1 + n) for n in range(200)])
    until(events.settled)
    sabotaged.signal(signal.SIGUSR2)
    until(lambda: events.settled() == dict.fromkeys(ids, "applied"))
    goes_on(amqp_url, namespace, events)
    sabotaged.ready()


def test_an_exception_in_the_io_thread_ends_the_process_with_1_and_a_trace(
    sabotaged: WorkerProcess,
) -> None:
    sabotaged.environment = {**sabotaged.environment, "SABOTAGE": "raises"}
    sabotaged.start()
    sabotaged.ready()
    sabotaged.signal(signal.SIGUSR2)
    assert sabotaged.process is not None
    assert sabotaged.process.wait(SECONDS) == 1
    assert "RuntimeError: sabotage" in str(sabotaged.lines("io_thread_failed"))


def test_a_lanes_queue_that_is_deleted_is_declared_and_consumed_again(
    amqp_url: str, namespace: str, new_worker: NewWorker, events: Subscriber
) -> None:
    worker = new_worker()
    with connected(amqp_url) as channel:
        channel.queue_delete(f"{namespace}.lane.default")
    until(lambda: worker.lines("consumer_cancelled"), SECONDS)
    until(lambda: len(worker.lines("subscribed")) > 2, SECONDS, "it has not subscribed again")
    goes_on(amqp_url, namespace, events)


def test_while_rabbitmq_blocks_publishing_calls_stop_and_afterwards_all_is_settled(
    broker: Node,
    amqp_url: str,
    namespace: str,
    simulator: Simulator,
    new_worker: NewWorker,
    events: Subscriber,
) -> None:
    simulator.latency("50ms")
    worker = new_worker(RATE="100/s")
    ids = publish(amqp_url, namespace, [edit(1 + n) for n in range(800)])
    until(events.settled)
    broker.ctl("set_vm_memory_high_watermark", "0.00001")
    try:
        until(lambda: "blocks publishing" in worker.asked("/readyz")[1], SECONDS)
        until(lambda: worker.lane()["in_flight"] == 0, SECONDS)
        calls = len(simulator.calls())
        assert worker.asked("/livez")[0] == 200, "waiting for RabbitMQ is alive"
        assert len(simulator.calls()) == calls < len(ids), "it calls, and cannot say so"
    finally:
        broker.ctl("set_vm_memory_high_watermark", "absolute", "1GB")
    until(lambda: events.settled() == dict.fromkeys(ids, "applied"))
