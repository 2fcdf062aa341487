"""A pause under load: nothing ends it but a resume, and nobody else's rate suffers from it."""

from __future__ import annotations

import json
import time
from collections import Counter
from statistics import median
from threading import Event, Thread
from typing import TYPE_CHECKING

import pika
import pytest

from ops.simulator.remote import Remote
from tests.acceptance.console import Console
from tests.acceptance.kit import KEY, SECRET, connected, edit, letters, until
from tests.acceptance.test_failover import in_order

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pika.adapters.blocking_connection import BlockingChannel

    from ops.rabbitmq.node import Node
    from ops.simulator.control import Call, Simulator
    from tests.acceptance.conftest import NewWorker
    from tests.acceptance.kit import WorkerProcess
    from tests.conftest import NewNode

RATE = 50
HOLD, PERIODS = 5, 24
MORE, JOBS, LOOKED_AT = 600, 40, 250
KEYS = {"acme": KEY, "zeta": "key-of-zeta"}
BEFORE, SLICE, KEPT = 30, 2.0, 0.97
"""Seconds over which both accounts are at work first, of a slice of that time, and what share of
its rate the other keeps: of its rate here, for other processes may have a part of this machine."""
UNCALLED = RATE * 3 // 2
"""Fewer than make a window that is held for long, and always more than can be called."""
ENOUGH = 200
"""Calls of the other account after which one of the paused account would have been made too."""

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(900)]


class Feeder(Thread):
    """Keeps so many edits of an account uncalled, until it is told to end."""

    def __init__(self, url: str, namespace: str, account: str, simulator: Simulator) -> None:
        super().__init__(daemon=True)
        self._url, self._namespace, self._account = url, namespace, account
        self._simulator = Remote(simulator.url)
        self._ending = Event()
        self.ids: list[str] = []

    def run(self) -> None:
        with connected(self._url) as channel:
            channel.confirm_delivery()
            while not self._ending.wait(0.2):
                waiting = len(self.ids) - calls_of(self._simulator, KEYS[self._account])
                self._publish(channel, UNCALLED - waiting)
        self._simulator.close()

    def _publish(self, channel: BlockingChannel, count: int) -> None:
        app = f"{self._account}-app"
        for _ in range(count):
            number = len(self.ids)
            name = f"{self._account}-{number:06}"
            body = json.dumps(edit(1 + number % JOBS, appId=app, name=name))
            properties = pika.BasicProperties(message_id=name, delivery_mode=2)
            channel.basic_publish(self._namespace, app, body.encode(), properties)
            self.ids.append(name)

    def end(self, more: int = 0) -> None:
        """Publish no more, but for so many at last."""
        self._ending.set()
        self.join(20)
        with connected(self._url) as channel:
            channel.confirm_delivery()
            self._publish(channel, more)


@pytest.fixture
def node(new_node: NewNode) -> Node:
    return new_node()


@pytest.fixture
def replicas(
    node: Node, simulator: Simulator, new_worker: NewWorker, tmp_path: Path
) -> list[WorkerProcess]:
    """Two, for two accounts of 50/s each."""
    simulator.account(KEYS["zeta"], SECRET, rate="100000/s")
    simulator.latency("200ms")
    path = tmp_path / "accounts.toml"
    path.write_text(
        "".join(
            f'[accounts.{name}]\napi_key = "{key}"\napi_secret = "{SECRET}"\n'
            f'app_ids = ["{name}-app"]\nrate = "{RATE}/s"\nconcurrency = 32\n'
            for name, key in KEYS.items()
        )
    )
    settings = {"API_KEY": "", "API_SECRET": "", "ACCOUNTS_FILE": str(path)}
    settings |= {"AMQP_URL": node.amqp_url, "HEARTBEAT": "1s", "HOLD": f"{HOLD}s"}
    workers = [new_worker(ready=False, **settings) for _ in range(2)]
    for worker in workers:
        worker.ready()
    return workers


@pytest.fixture
def console(node: Node, namespace: str, tmp_path: Path) -> Console:
    settings = {"TASKEDIT_AMQP_URL": node.amqp_url, "TASKEDIT_NAMESPACE": namespace}
    return Console(settings, tmp_path)


@pytest.fixture
def feeders(
    node: Node, namespace: str, simulator: Simulator, replicas: list[WorkerProcess]
) -> Iterator[dict[str, Feeder]]:
    """Of both accounts, under way."""
    del replicas  # they declare the queues
    feeders = {name: Feeder(node.amqp_url, namespace, name, simulator) for name in KEYS}
    for feeder in feeders.values():
        feeder.start()
    yield feeders
    for feeder in feeders.values():
        feeder.end()


@pytest.fixture
def told(node: Node, namespace: str, replicas: list[WorkerProcess]) -> str:
    """A queue of all events, which outlives RabbitMQ."""
    del replicas
    queue = f"{namespace}.told"
    with connected(node.amqp_url) as channel:
        channel.queue_declare(queue, durable=True)
        channel.queue_bind(queue, f"{namespace}.events", "#")
    return queue


def of(simulator: Simulator, key: str) -> list[Call]:
    return [call for call in simulator.calls() if call.account == key]


def calls_of(simulator: Remote, key: str) -> int:
    account = simulator.summary().get(key)
    return 0 if account is None else account.calls


def test_nothing_but_a_resume_ends_a_pause_and_the_other_account_keeps_its_rate(
    node: Node,
    namespace: str,
    simulator: Simulator,
    replicas: list[WorkerProcess],
    feeders: dict[str, Feeder],
    told: str,
    console: Console,
) -> None:
    until(lambda: min(calls_of(simulator, key) for key in KEYS.values()) > RATE)
    before = time.time()
    until(lambda: calls_of(simulator, KEY) > BEFORE * RATE, 3 * BEFORE)
    began = time.time()
    active = until(lambda: [worker for worker in replicas if worker.lane("acme")["open"]])[0]

    console.run("pause", "acme", "--why", "an incident")
    returned = time.time()
    called = of(simulator, KEY)
    assert not [call for call in called if call.arrived > returned]
    until(lambda: all(call.ended for call in of(simulator, KEY)))
    until(lambda: replicas[0].lane("acme")["held"] == replicas[1].lane("acme")["held"] == 0)
    feeders["acme"].end(more=MORE)  # publishers go on publishing
    lane, published = f"{namespace}.lane.acme", len(feeders["acme"].ids)
    assert ready(node, lane) == published - len(called), "a call in flight was not settled"
    returned_by_now = returns(node, lane)

    def stays_paused(calls: int, within: float) -> None:
        """No call is made for the paused account while so many are for the other."""
        until(lambda: all(worker.lane("acme")["state"] == "paused" for worker in replicas))
        more = calls_of(simulator, KEYS["zeta"]) + calls
        until(lambda: calls_of(simulator, KEYS["zeta"]) >= more, within)
        assert calls_of(simulator, KEY) == len(called)

    stays_paused(HOLD * PERIODS * RATE, HOLD * PERIODS * 1.5)
    kept = rate(simulator, began, time.time()) / rate(simulator, before, began)
    assert kept >= KEPT, f"the other account kept {kept:.1%} of its rate"

    active.kill()
    active.start()
    active.ready()
    stays_paused(ENOUGH, 60)
    for worker in replicas:
        assert worker.stop() == 0
        worker.start()
    for worker in replicas:
        worker.ready()
    stays_paused(ENOUGH, 60)
    feeders["zeta"].end()
    node.restart()
    for worker in replicas:
        worker.ready(60)
    feeders["zeta"].end(more=2 * ENOUGH)
    stays_paused(ENOUGH, 60)
    by_this_test = [1 + times for times in returned_by_now]
    assert returns(node, lane) == by_this_test, "a pause has moved the delivery limit"

    console.run("resume", "acme")
    ids = [*feeders["acme"].ids, *feeders["zeta"].ids]
    settled: Counter[tuple[str, str]] = Counter()
    until(lambda: len(heard(node, told, settled)) == len(ids), 120)
    assert {(name, "applied") for name in ids} == settled.keys(), "an edit is lost or rejected"
    assert not letters(node.amqp_url, namespace)
    of_acme = of(simulator, KEY)
    assert len(of_acme) == published, "an edit of the paused account was called twice"
    in_order(of_acme)


def rate(simulator: Simulator, since: float, until: float) -> float:
    """Calls of the other account in a slice of a span, in the middle of the slices by size.

    What other processes of the machine take away for some seconds is left out so.
    """
    slices = Counter(
        int((call.arrived - since) / SLICE)
        for call in of(simulator, KEYS["zeta"])
        if since <= call.arrived < until
    )
    return median(slices[number] for number in range(int((until - since) / SLICE)))


def ready(node: Node, queue: str) -> int:
    with connected(node.amqp_url) as channel:
        return int(channel.queue_declare(queue, passive=True).method.message_count)


def returns(node: Node, queue: str) -> list[int]:
    """How often each of the first messages was delivered and came back; nobody consumes them."""
    with connected(node.amqp_url) as channel:
        assert channel.queue_declare(queue, passive=True).method.consumer_count == 0
        channel.basic_qos(prefetch_count=LOOKED_AT)
        found = []
        for _, properties, _ in channel.consume(queue, inactivity_timeout=20):
            assert properties is not None, "it does not deliver"
            times = (properties.headers or {}).get("x-delivery-count", 0)
            assert isinstance(times, int)
            found.append(times)
            if len(found) == LOOKED_AT:
                return found
    raise AssertionError("unreachable")


def heard(node: Node, queue: str, settled: Counter[tuple[str, str]]) -> Counter[tuple[str, str]]:
    """Takes what was told since, into `settled`: message id and outcome."""
    with connected(node.amqp_url) as channel:
        while True:
            method, _, body = channel.basic_get(queue, auto_ack=True)
            if method is None or body is None:
                return settled
            event = json.loads(body)["data"]
            settled[event["messageId"], event["outcome"]] += 1
