"""Limits of a minute and longer, over deaths, takeovers and reloads."""

from __future__ import annotations

import json
import signal
from functools import partial
from time import time
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from pika import BasicProperties

from tests.acceptance.kit import KEY, connected, edit, publish, until
from tests.acceptance.test_reload import Files, reload
from tests.acceptance.test_superseded import TWO_HOURS, restarted, restarted_skewed

if TYPE_CHECKING:
    from pathlib import Path

    from ops.simulator.control import Simulator
    from tests.acceptance.conftest import NewWorker
    from tests.acceptance.kit import Subscriber, WorkerProcess

MOST = 60
OTHERS = 10_600


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_calls_that_led_to_no_event_count_after_a_death_and_a_takeover(
    amqp_url: str, namespace: str, simulator: Simulator, new_worker: NewWorker, end: signal.Signals
) -> None:
    """Every call is answered that there are too many, and tried again: no edit ends."""
    simulator.answer("-46")
    workers = [new_worker(RATE=f"20/s,{MOST}/m"), new_worker(RATE=f"20/s,{MOST}/m")]
    publish(amqp_url, namespace, [edit(1 + job) for job in range(400)])
    for _ in range(2):
        for worker in workers:
            calls = len(simulator.calls())
            until(partial(more, simulator, calls), 60)
            worker.signal(end)
            assert worker.process is not None
            worker.process.wait(30)
            worker.start()
            worker.ready()
    until(lambda: spent(workers), 40, "nobody waits for the limit")

    arrived = sorted(call.arrived for call in simulator.calls())

    assert len(arrived) > MOST // 4
    assert not [
        late for early, late in zip(arrived, arrived[MOST:], strict=False) if late - early < 60
    ]


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("by", [TWO_HOURS, f"-{TWO_HOURS}"])
def test_what_a_replica_with_a_wrong_clock_has_used_of_a_limit_counts(
    amqp_url: str, namespace: str, simulator: Simulator, new_worker: NewWorker, by: str
) -> None:
    worker = new_worker(RATE=f"20/s,{MOST}/m")
    restarted_skewed(worker, by)
    publish(amqp_url, namespace, [edit(1 + job) for job in range(2 * MOST)])
    until(lambda: len(simulator.calls()) > MOST // 2)
    restarted(worker)
    until(lambda: spent([worker]) or len(simulator.calls()) > MOST, 40)

    assert MOST // 2 < len(simulator.calls()) <= MOST


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_many_events_of_others_hide_neither_what_was_settled_nor_what_was_used(
    amqp_url: str, namespace: str, simulator: Simulator, new_worker: NewWorker, events: Subscriber
) -> None:
    used, most = 20, 30
    worker = new_worker(RATE=f"20/s,{most}/h")
    publish(amqp_url, namespace, [edit(1 + job) for job in range(used)])
    until(lambda: len(events.take()) == used)
    worker.stop()
    with connected(amqp_url) as channel:
        for number in range(OTHERS):
            event_id, data = str(UUID(int=number << 64)), {"account": "other", "attempts": 1}
            own = BasicProperties(message_id=event_id, timestamp=int(time()))
            channel.basic_publish("", f"{namespace}.journal", json.dumps({"data": data}), own)
    worker.start()
    worker.ready()
    publish(amqp_url, namespace, [edit(1 + job) for job in range(used)])
    until(lambda: len(events.take()) == 2 * used, 60)
    assert len(simulator.calls()) == used
    publish(amqp_url, namespace, [edit(100 + job) for job in range(used)], ids="new")
    until(lambda: f"{most}/h is used up" in str(worker.lane()["why"]))
    assert used < len(simulator.calls()) <= most


def more(simulator: Simulator, calls: int) -> bool:
    """Whether there are some more calls, or nearly all that there may be."""
    return len(simulator.calls()) >= min(calls + 10, MOST - MOST // 4)


def spent(workers: list[WorkerProcess]) -> bool:
    """Whether a worker tells that the minute is used up."""
    whys = [str(worker.lane()["why"]) for worker in workers]
    return any(f"{MOST}/m is used up" in why for why in whys)


def test_a_limit_added_by_sighup_counts_the_past_and_shows_what_is_waited_for(
    amqp_url: str, namespace: str, simulator: Simulator, new_worker: NewWorker, tmp_path: Path
) -> None:
    folder = tmp_path / "taskedit"
    folder.mkdir()
    files = Files(folder)
    files.account("acme", KEY, "secret-of-acme")
    files.write(files.accounts.replace("100/s", "100000/d"))
    worker = new_worker(ACCOUNTS_FILE=str(files.path), API_KEY="", API_SECRET="")
    publish(amqp_url, namespace, [edit(1)])
    until(lambda: len(simulator.calls()) == 1)

    files.write(files.accounts.replace("100/s", "50/s,100000/d"))
    reload(worker)
    publish(amqp_url, namespace, [edit(1 + job) for job in range(20)], ids="more")
    until(lambda: len(simulator.calls()) == 21, 10, "it waits for a window that is not used up")
    assert worker.lane("acme")["why"] is None

    files.write(files.accounts.replace("100/s", "50/s,30/m"))
    reload(worker)
    publish(amqp_url, namespace, [edit(50 + job) for job in range(20)], ids="last")
    until(lambda: len(simulator.calls()) == 30, 10)
    shown = until(lambda: worker.lane("acme")["why"] and worker.lane("acme"))
    assert shown["state"] == "running"
    assert shown["why"] == "the limit 30/m is used up"
    assert shown["until"] is not None
