"""What the worker adds when there is nothing else to do: publish → event, less the API's own time.

RabbitMQ's share is in it: the edit goes through a quorum queue, the event through an exchange.
"""

from __future__ import annotations

import random
from contextlib import ExitStack, contextmanager
from statistics import quantiles
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Any

import pika

from schemas import Names
from tests.bench import queues
from tests.bench.api import serving
from tests.bench.contestants import OURS
from tests.bench.ground import say
from tests.bench.program import Setup, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pika.adapters.blocking_connection import BlockingChannel

    from tests.bench.api import Api
    from tests.bench.ground import Ground
    from tests.bench.queues import Message

PAUSES = (0.05, 0.15)
"""Seconds between edits, at random: each finds the worker idle."""
SAMPLES = 300
LONG_IDLE_WORKERS = 10
_FIRST_WITHIN = 30.0
_WITHIN = 10.0


class Round:
    """Publishes a message and waits for what comes of it; both connections are open already."""

    def __init__(self, url: str, queue: str, heard: str) -> None:
        self._publisher = pika.BlockingConnection(queues.parameters(url))
        self._subscriber = pika.BlockingConnection(queues.parameters(url))
        self._to = queue
        self._channel = self._publisher.channel()
        listening = self._subscriber.channel()
        self._came = 0
        listening.basic_consume(heard, self._heard, auto_ack=True)

    def trip(self, message: Message, within: float = _WITHIN) -> float:
        """Seconds from the publishing of `message` until something was heard."""
        body, properties = message
        before, begun = self._came, perf_counter()
        self._channel.basic_publish("", self._to, body, properties)
        while self._came == before:
            left = within - (perf_counter() - begun)
            if left <= 0:
                raise TimeoutError(f"nothing came back within {within:.0f} s")
            self._subscriber.process_data_events(left)
        return perf_counter() - begun

    def close(self) -> None:
        """Close both connections."""
        self._publisher.close()
        self._subscriber.close()

    def _heard(self, *_: object) -> None:
        self._came += 1


def measure(ground: Ground) -> dict[str, Any]:
    """Milliseconds: RabbitMQ alone, the worker when idle, and after a long idleness."""
    count = SAMPLES // 5 if ground.options.is_trial else SAMPLES
    found = {
        "broker": _broker_alone(ground, count),
        "idle": _idle(ground, count),
        "long": _long_idle(ground),
        "seconds": ground.options.seconds,
    }
    say(f"latency: {found}")
    return found


def _broker_alone(ground: Ground, count: int) -> dict[str, float]:
    namespace, _ = ground.fresh("latency")
    names = Names(namespace)
    queue = OURS.queue(names)
    with queues.declared(ground.node.amqp_url, OURS.objects(names)):
        tool = Round(ground.node.amqp_url, queue, queue)
        trips = []
        for message in OURS.messages(names, count):
            sleep(random.uniform(*PAUSES))
            trips.append(tool.trip(message))
        tool.close()
    return _spread(trips)


def _idle(ground: Ground, count: int) -> dict[str, float]:
    trips = []
    with serving() as api, _served(ground, api) as (tool, names):
        for message in OURS.messages(names, count, start=1):
            sleep(random.uniform(*PAUSES))
            trips.append(_added(tool, api, message))
    return _spread(trips)


def _long_idle(ground: Ground) -> dict[str, float]:
    """Several workers idle side by side, and then one edit for each in turn."""
    with serving() as api, ExitStack() as stack:
        served = [stack.enter_context(_served(ground, api)) for _ in range(LONG_IDLE_WORKERS)]
        sleep(ground.options.seconds)
        trips = []
        for tool, names in served:
            [message] = OURS.messages(names, 1, start=1)
            trips.append(_added(tool, api, message))
    return _spread(trips)


@contextmanager
def _served(ground: Ground, api: Api) -> Iterator[tuple[Round, Names]]:
    """A worker that has applied its first edit, and a tool that speaks to it."""
    namespace, folder = ground.fresh("latency")
    names, url = Names(namespace), ground.node.amqp_url
    with queues.declared(url, OURS.objects(names)), queues.connected(url) as channel:
        heard = _subscribed(channel, names)
        tool = Round(url, OURS.queue(names), heard)
        with running(OURS, Setup(url, api.url, namespace), folder):
            [first] = OURS.messages(names, 1)
            tool.trip(first, _FIRST_WITHIN)
            yield tool, names
        tool.close()


def _subscribed(channel: BlockingChannel, names: Names) -> str:
    """A queue bound to all events; it goes when its one consumer does."""
    queue = channel.queue_declare("", auto_delete=True).method.queue or ""
    channel.queue_bind(queue, names.events, "#")
    return queue


def _added(tool: Round, api: Api, message: Message) -> float:
    before = api.board.nanoseconds
    trip = tool.trip(message)
    return trip - (api.board.nanoseconds - before) / 1e9


def _spread(seconds: list[float]) -> dict[str, float]:
    """p50, p99 and the largest, in milliseconds."""
    hundredths = quantiles(seconds, n=100, method="inclusive")
    return {
        "p50": hundredths[49] * 1e3,
        "p99": hundredths[98] * 1e3,
        "max": max(seconds) * 1e3,
        "count": len(seconds),
    }
