"""Each queue has one favourite among the replicas, and a change of the fleet moves few of them."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.rendezvous import HIGHEST, priority, spreads

QUEUES = [f"task-edit.lane.account-{number}" for number in range(300)]
REPLICAS = st.sets(st.text(min_size=1), min_size=2, max_size=6)


def favourites(replicas: set[str]) -> dict[str, str]:
    """Who serves each queue."""
    return {queue: max(replicas, key=lambda each: priority(each, queue)) for queue in QUEUES}


@given(REPLICAS)
def test_a_death_moves_the_queues_of_the_dead_and_no_other(replicas: set[str]) -> None:
    dead = min(replicas)
    before, after = favourites(replicas), favourites(replicas - {dead})

    assert {queue for queue in QUEUES if before[queue] != after[queue]} == {
        queue for queue in QUEUES if before[queue] == dead
    }


@given(REPLICAS, st.text(min_size=1))
def test_whoever_joins_takes_queues_and_moves_none_between_the_others(
    replicas: set[str], new: str
) -> None:
    before, after = favourites(replicas), favourites(replicas | {new})

    assert {after[queue] for queue in QUEUES if before[queue] != after[queue]} <= {new}


def test_each_of_three_has_about_a_third() -> None:
    shares = Counter(favourites({"w1:9464", "w2:9464", "w3:9464"}).values())

    assert all(80 <= share <= 120 for share in shares.values())
    assert shares.total() == len(QUEUES)


def test_a_priority_is_what_it_has_always_been() -> None:
    """Replicas of two releases serve together while the fleet is upgraded."""
    assert priority("worker-1", "task-edit.lane.acme") == 1047750679
    assert all(1 <= priority("w", queue) <= HIGHEST for queue in QUEUES)


@pytest.mark.parametrize(
    ("version", "spread"),
    [((), False), ((3, 13, 7), False), ((4, 0, 5), True), ((4, 2, 9), True), ((4, 3, 6), False)],
)
def test_lanes_spread_where_rabbitmq_hands_them_over_and_loses_none(
    version: tuple[int, ...], *, spread: bool
) -> None:
    assert spreads(version) is spread
