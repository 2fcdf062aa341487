"""Three replicas: whatever ends, freezes or cuts off the active one, another goes on in order."""

from __future__ import annotations

import signal
from collections import defaultdict
from typing import TYPE_CHECKING, cast

import pytest

from tests.acceptance.kit import edit, publish, until
from tests.chaos.proxy import CLEAR, Network, Weather

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ops.rabbitmq.node import Node
    from ops.simulator.control import Call, Simulator
    from tests.acceptance.conftest import NewWorker
    from tests.acceptance.kit import Subscriber, WorkerProcess

REPLICAS = 3
TO_TAKE_OVER = 5.0
"""Seconds from the loss of the active replica until another applies an edit."""


@pytest.fixture
def replicas(new_worker: NewWorker, events: Subscriber) -> list[WorkerProcess]:
    """As in production, but for a heartbeat of a second."""
    del events  # declares the exchange before anything is published
    workers = [
        new_worker(HEARTBEAT="1s", RATE="200/s", ready=number == REPLICAS - 1)
        for number in range(REPLICAS)
    ]
    for worker in workers:
        worker.ready()
    return workers


def active(workers: Iterable[WorkerProcess]) -> WorkerProcess:
    """The one that serves the lane; two say so for a moment, where one takes it from another."""

    def alone() -> list[WorkerProcess]:
        found = [worker for worker in workers if worker.lane()["open"]]
        return found if len(found) == 1 else []

    [serving] = until(alone, what="not one alone serves the lane")
    return cast("WorkerProcess", serving)


def in_order(calls: Sequence[Call]) -> None:
    """Fail unless each job's calls are in the order of their names and side by side with none."""
    by_job = defaultdict(list)
    for call in calls:
        by_job[call.job].append(call)
    for job, of_job in by_job.items():
        names = [call.name or "" for call in of_job]
        assert names == sorted(names), f"job {job} is out of order"
        assert not any(call.overlap for call in of_job), f"job {job} has calls side by side"


def test_a_killed_replica_is_replaced_within_five_seconds(
    amqp_url: str, namespace: str, events: Subscriber, replicas: list[WorkerProcess]
) -> None:
    publish(amqp_url, namespace, [edit(1)], ids="before")
    until(events.settled)
    active(replicas).kill()
    publish(amqp_url, namespace, [edit(1)], ids="after")
    until(lambda: "after-0" in events.settled(), TO_TAKE_OVER, "no other has taken over")


def test_a_frozen_replica_is_replaced_and_does_nothing_when_it_wakes(
    amqp_url: str,
    namespace: str,
    simulator: Simulator,
    events: Subscriber,
    replicas: list[WorkerProcess],
) -> None:
    """A call may have been signed and on its way out: its timestamp tells it from one begun later.

    No worker can take it back; a provider that looks at timestamps refuses it.
    """
    simulator.latency("300ms")
    simulator.settings(timestamp_window="2s")
    edits = [edit(1 + n % 20, name=f"{n:03}") for n in range(100)]
    ids = publish(amqp_url, namespace, edits)
    until(lambda: len(events.take()) > 20)
    zombie = active(replicas)
    zombie.signal(signal.SIGSTOP)
    known = len(events.take())
    until(lambda: len(events.take()) > known, 3 * 1.0 + TO_TAKE_OVER, "no other has taken over")
    until(lambda: events.settled() == dict.fromkeys(ids, "applied"))
    calls, told = len(simulator.calls()), len(events.take())
    zombie.signal(signal.SIGCONT)
    until(lambda: len(zombie.lines("connection_lost")) >= 2, what="the zombie has not woken")
    zombie.ready()
    late = simulator.calls()[calls:]
    assert {call.status for call in late} <= {"-4"}, "the zombie has signed and begun a call"
    assert len(events.take()) == told, "the zombie has published"
    in_order(simulator.calls()[:calls])


def test_a_connection_that_ends_on_the_brokers_side_only_costs_no_order(
    broker: Node,
    namespace: str,
    simulator: Simulator,
    new_worker: NewWorker,
    events: Subscriber,
) -> None:
    """RabbitMQ gives the lane to another at once, while its holder believes in its connection."""
    with Network() as network:
        proxy = network.proxy(broker.port)
        url = f"amqp://guest:guest@127.0.0.1:{proxy.port}/%2F"
        edits = [edit(1 + n % 5, name=f"{n:03}") for n in range(400)]
        unaware = new_worker(RATE="200/s", AMQP_URL=url)
        ids = publish(broker.amqp_url, namespace, edits)
        until(lambda: len(events.take()) > 20)
        new_worker(RATE="200/s")
        proxy.half_open("client", only=b"worker consume")
        until(lambda: events.settled() == dict.fromkeys(ids, "applied"))
        assert unaware.lane()["open"], "it knows: the test proves nothing"
    in_order(simulator.calls())


@pytest.mark.slow
@pytest.mark.parametrize("still", [("monotonic",), ("monotonic", "boot")], ids=["suspended", "VM"])
def test_a_replica_whose_machine_slept_begins_no_call_when_it_wakes(
    broker: Node,
    namespace: str,
    simulator: Simulator,
    new_worker: NewWorker,
    events: Subscriber,
    still: tuple[str, ...],
) -> None:
    """By its own clock it has heard from RabbitMQ just now; no packet says anything else yet."""
    simulator.settings(timestamp_window="2s")  # tells what was signed before it slept
    with Network() as network:
        proxy = network.proxy(broker.port)
        url = f"amqp://guest:guest@127.0.0.1:{proxy.port}/%2F"
        sleeper = new_worker(ready=False, HEARTBEAT="1s", RATE="50/s", AMQP_URL=url)
        sleeper.kill()
        sleeper.arguments = ("-m", "tests.acceptance.asleep", *still)
        sleeper.start()
        sleeper.ready()
        other = new_worker(HEARTBEAT="1s", RATE="50/s")
        edits = [edit(1 + n % 20, name=f"{n:03}") for n in range(400)]
        ids = publish(broker.amqp_url, namespace, edits)
        until(lambda: len(events.take()) > 20)
        proxy.turn(Weather(still=True))
        sleeper.signal(signal.SIGSTOP)
        until(lambda: len(other.lines("edit")) > 100, what="no other has taken over")
        sleeper.signal(signal.SIGCONT)
        until(
            lambda: sleeper.asked("/readyz")[0] == 503, what="it does not know that it is cut off"
        )
        proxy.turn(CLEAR)
        until(lambda: events.settled() == dict.fromkeys(ids, "applied"))
    in_order([call for call in simulator.calls() if call.status != "-4"])


@pytest.mark.slow
def test_a_replica_cut_off_from_the_broker_begins_no_call_and_publishes_nothing(
    broker: Node,
    namespace: str,
    simulator: Simulator,
    new_worker: NewWorker,
    events: Subscriber,
) -> None:
    simulator.latency("300ms")
    with Network() as network:
        proxy = network.proxy(broker.port)
        url = f"amqp://guest:guest@127.0.0.1:{proxy.port}/%2F"
        cut_off = new_worker(HEARTBEAT="1s", RATE="400/s", AMQP_URL=url)
        edits = [edit(1 + n % 20, name=f"{n:03}") for n in range(100)]
        ids = publish(broker.amqp_url, namespace, edits)
        until(lambda: len(events.take()) > 20)
        new_worker(HEARTBEAT="1s", RATE="400/s")
        proxy.turn(Weather(still=True))
        until(lambda: events.settled() == dict.fromkeys(ids, "applied"))
        until(
            lambda: cut_off.asked("/readyz")[0] == 503, what="it does not know that it is cut off"
        )
        calls, told = len(simulator.calls()), len(events.take())
        proxy.turn(CLEAR)
        cut_off.ready()
        assert len(simulator.calls()) == calls, "it has begun a call"
        assert len(events.take()) == told, "it has published"
    in_order(simulator.calls())


def test_rolling_upgrades_under_load_lose_nothing_and_keep_every_jobs_order(
    amqp_url: str,
    namespace: str,
    simulator: Simulator,
    events: Subscriber,
    replicas: list[WorkerProcess],
) -> None:
    upgrade(amqp_url, namespace, simulator, events, replicas, times=3)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_fifty_rolling_upgrades_under_load_lose_nothing_and_keep_every_jobs_order(
    amqp_url: str,
    namespace: str,
    simulator: Simulator,
    events: Subscriber,
    replicas: list[WorkerProcess],
) -> None:
    upgrade(amqp_url, namespace, simulator, events, replicas, times=50)


def upgrade(
    amqp_url: str,
    namespace: str,
    simulator: Simulator,
    events: Subscriber,
    replicas: list[WorkerProcess],
    *,
    times: int,
) -> None:
    """End the active replica by SIGTERM under load, so often, each time with a full window."""
    simulator.latency("10ms", "20ms")
    ids: list[str] = []
    for turn in range(times):
        edits = [edit(1 + n % 15, name=f"{turn:03}-{n:03}") for n in range(200)]
        ids += publish(amqp_url, namespace, edits, ids=f"t{turn}")
        leaving = active(replicas)
        until(lambda: len(events.take()) > len(ids) - 180)  # noqa: B023 (now)
        leaving.signal(signal.SIGTERM)
        until(
            lambda: len(events.take()) > len(ids) - 50,  # noqa: B023 (now)
            what="no other has taken over",
        )
        assert leaving.process is not None
        assert leaving.process.wait(10) == 0
        leaving.start()
        leaving.ready()
    until(lambda: events.settled() == dict.fromkeys(ids, "applied"), 60)
    in_order(simulator.calls())


@pytest.mark.alone
def test_sigterm_under_load_hands_over_within_two_seconds(
    amqp_url: str,
    namespace: str,
    simulator: Simulator,
    events: Subscriber,
    replicas: list[WorkerProcess],
) -> None:
    simulator.latency("20ms")
    publish(amqp_url, namespace, [edit(1 + n % 50) for n in range(1000)])
    until(lambda: len(events.take()) > 100)
    leaving = active(replicas)
    leaving.signal(signal.SIGTERM)
    others = [worker for worker in replicas if worker is not leaving]
    until(lambda: any(worker.lines("edit") for worker in others), 2.0, "no other has taken over")
