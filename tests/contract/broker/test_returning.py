"""In which order a quorum queue serves what was given back, and what of it was acked.

The worker returns whole windows, by a close without a cancel, and everyone has one prefetch. Here
is why: every other way serves newer edits first, or turns older ones around.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.kit import until
from tests.chaos.proxy import Network
from tests.contract.broker.consumer import Consumer, Queue
from worker.pipeline.lane import ACK_SETTLES_IN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ops.rabbitmq.node import Node
    from tests.conftest import NewNode

WINDOW, ALL = 8, 20


@pytest.fixture
def network() -> Iterator[Network]:
    with Network() as network:
        yield network


@pytest.fixture
def queue(amqp_url: str, namespace: str) -> Queue:
    """A lane's queue in small, with twenty edits."""
    queue = Queue(amqp_url, f"{namespace}.lane")
    queue.holds(range(ALL))
    return queue


IN_ORDER: dict[str, Callable[[Consumer], None]] = {
    "Channel.Close": Consumer.closes_channel,
    "Connection.Close": Consumer.closes_connection,
}


@pytest.mark.parametrize("leave", IN_ORDER.values(), ids=IN_ORDER)
def test_a_close_without_a_cancel_returns_the_window_before_what_is_newer(
    queue: Queue, leave: Callable[[Consumer], None]
) -> None:
    with queue.consumer(WINDOW) as leaving, queue.consumer(WINDOW) as standing_by:
        assert leaving.takes(WINDOW) == list(range(WINDOW))
        leaving.acks(2, 0, 5, settling=ACK_SETTLES_IN)
        leave(leaving)
        assert standing_by.takes(WINDOW)[:5] == [1, 3, 4, 6, 7]
        assert standing_by.got == sorted(standing_by.got)
        assert standing_by.redelivered[:5] == [1, 3, 4, 6, 7], "a takeover is not to be seen"


def test_a_connection_that_is_cut_returns_the_window_before_what_is_newer(
    queue: Queue, broker: Node, network: Network
) -> None:
    chance = random.Random(7)
    proxy = network.proxy(broker.port)
    url = f"amqp://guest:guest@127.0.0.1:{proxy.port}/%2F"
    left, had = set(range(ALL)), set[int]()
    for _ in range(8):
        with queue.consumer(WINDOW, url) as consumer:
            expected = sorted(left)[:WINDOW]
            assert consumer.takes(len(expected)) == expected
            assert had.intersection(expected) <= set(consumer.redelivered), "returned unmarked"
            acked = chance.sample(expected, min(2, len(expected)))
            consumer.acks(*acked, settling=ACK_SETTLES_IN)
            left -= set(acked)
            had |= set(consumer.got)
            proxy.reset()


NEWER_FIRST: dict[str, Callable[[Consumer], None]] = {
    "pika's own close": Consumer.closes_as_pika_does,
    "cancel, then nack": Consumer.cancels_then_nacks,
    "nack, then cancel": Consumer.nacks_then_cancels,
}


@pytest.mark.parametrize("leave", NEWER_FIRST.values(), ids=NEWER_FIRST)
def test_a_cancel_lets_the_next_consumer_have_newer_edits_first(
    queue: Queue, leave: Callable[[Consumer], None]
) -> None:
    with queue.consumer(WINDOW) as leaving, queue.consumer(ALL) as standing_by:
        leaving.takes(WINDOW)
        leave(leaving)
        assert sorted(standing_by.takes(ALL)) == list(range(ALL))
        assert standing_by.got != list(range(ALL)), "a cancel would do no harm any more"


def test_what_is_returned_goes_behind_what_was_returned_before(queue: Queue) -> None:
    with queue.consumer(WINDOW) as first:
        first.takes(WINDOW)
        first.closes_channel()
    for number in range(3):
        with queue.consumer(1) as taking_less:
            assert taking_less.takes(1) == [number]
            taking_less.closes_channel()
    with queue.consumer(WINDOW) as last:
        assert last.takes(WINDOW) == [3, 4, 5, 6, 7, 0, 1, 2]


def test_windows_of_one_size_stay_in_order_however_often_they_are_returned(queue: Queue) -> None:
    for _ in range(10):
        with queue.consumer(WINDOW) as consumer:
            assert consumer.takes(WINDOW) == list(range(WINDOW))
            consumer.closes_channel()


def test_what_was_acked_a_moment_before_the_close_does_not_come_back(queue: Queue) -> None:
    queue.holds(range(ALL, 150))
    with queue.consumer(200) as consumer:
        consumer.takes(150)
        consumer.acks(*range(149), settling=ACK_SETTLES_IN)
        consumer.closes_channel()
    with queue.consumer(200) as consumer:
        assert consumer.takes(1) == [149]


def test_only_one_consumer_is_served_and_the_others_stand_by(queue: Queue) -> None:
    with queue.consumer(WINDOW) as serving, queue.consumer(WINDOW) as standing_by:
        serving.takes(WINDOW)
        standing_by.connection.process_data_events(0.2)
        assert not standing_by.got


@pytest.mark.slow
def test_a_broker_killed_and_restarted_returns_the_window_in_order(new_node: NewNode) -> None:
    node = new_node()
    queue = Queue(node.amqp_url, "lane")
    until(lambda: node.remembers("lane"))
    queue.holds(range(ALL))
    with queue.consumer(WINDOW) as consumer:
        consumer.takes(WINDOW)
        consumer.acks(4, 1, settling=ACK_SETTLES_IN)
        node.kill()
    node.start()
    with queue.consumer(ALL) as consumer:
        expected = [number for number in range(ALL) if number not in {4, 1}]
        assert consumer.takes(len(expected)) == expected
