"""RabbitMQ killed and started again: what was settled before is still known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.acceptance.kit import Subscriber, edit, publish, until

if TYPE_CHECKING:
    from ops.simulator.control import Simulator
    from tests.acceptance.conftest import NewWorker
    from tests.conftest import NewNode


@pytest.mark.slow
def test_after_a_restart_of_the_broker_the_journal_is_waited_for_and_repeats_are_known(
    new_node: NewNode, namespace: str, simulator: Simulator, new_worker: NewWorker
) -> None:
    node = new_node()
    worker = new_worker(AMQP_URL=node.amqp_url)
    ids = publish(node.amqp_url, namespace, [edit(1 + n) for n in range(20)])
    until(lambda: len(worker.lines("edit")) == len(ids))
    node.restart()  # a stream made a moment before a kill can stay away for good
    worker.ready(40)
    node.kill()
    node.start()
    worker.ready(40)
    second = new_worker(AMQP_URL=node.amqp_url)
    worker.stop()
    subscriber = Subscriber(node.amqp_url, namespace)
    publish(node.amqp_url, namespace, [edit(1 + n) for n in range(20)])
    until(lambda: subscriber.settled() == dict.fromkeys(ids, "applied"))
    assert len(simulator.calls()) == len(ids), "an edit was called again after its event"
    for one in (worker, second):
        assert not one.lines("journal_unavailable")
    subscriber.close()
