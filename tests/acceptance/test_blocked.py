"""A takeover while RabbitMQ blocks publishing waits for what it has to know, however long."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from ops.simulator.control import Simulator
from tests.acceptance.kit import (
    KEY,
    SECRET,
    Subscriber,
    WorkerProcess,
    connected,
    edit,
    publish,
    until,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import NewNode

EDITS = 50


def delivered_before(url: str, queue: str) -> None:
    """Take all edits and give them back: they may be in flight elsewhere, so they are taken late.

    By then the stray's takeover has published a marker, and RabbitMQ blocks the connection.
    """
    with connected(url) as channel:
        for number, _ in enumerate(channel.consume(queue), 1):
            if number == EDITS:
                return


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_who_takes_a_lane_during_an_alarm_calls_nothing_again(
    new_node: NewNode, tmp_path: Path
) -> None:
    node = new_node()
    with Simulator("--account", f"{KEY}:{SECRET}", "--rate", "100000/s") as simulator:
        settings = {
            "TASKEDIT_AMQP_URL": node.amqp_url,
            "TASKEDIT_API_URL": simulator.url,
            "TASKEDIT_API_KEY": KEY,
            "TASKEDIT_API_SECRET": SECRET,
            "TASKEDIT_APP_IDS": "acme-app",
            "TASKEDIT_RATE": "1000/s",
            "TASKEDIT_LOG_FORMAT": "json",
        }
        edits = [edit(1 + number) for number in range(EDITS)]
        impatient = ("-m", "tests.acceptance.impatient", "run")
        with WorkerProcess(tmp_path, settings, arguments=impatient) as worker:
            worker.ready()
            with closing(Subscriber(node.amqp_url, "task-edit")) as events:
                publish(node.amqp_url, "task-edit", edits)
                until(lambda: len(events.take()) == EDITS)
                assert worker.stop() == 0
                publish(node.amqp_url, "task-edit", edits)
                publish(node.amqp_url, "task-edit", [edit(99)], ids="stray", key="nobodys")
                delivered_before(node.amqp_url, "task-edit.lane.default")
                node.ctl("set_vm_memory_high_watermark", "0.00001")
                worker.start()
                until(lambda: "takes no publications" in worker.asked("/readyz")[1], 60)
                node.ctl("set_vm_memory_high_watermark", "0.6")
                until(lambda: len(events.take()) == 2 * EDITS + 1, 40)
        assert len(simulator.calls()) == EDITS
        assert len({event["id"] for event in events.events}) == EDITS + 1
