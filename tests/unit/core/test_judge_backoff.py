from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.core.judge import LONGEST, backoff, probe_interval


@pytest.mark.parametrize(
    ("attempt", "shortest", "longest"),
    [
        (1, 0.75, 1.25),
        (2, 1.5, 2.5),
        (3, 3.0, 5.0),
        (4, 6.0, 10.0),
        (5, 12.0, 20.0),
        (6, 24.0, 40.0),
        (7, 48.0, 60.0),
        (1000, 48.0, 60.0),
    ],
)
def test_the_backoff_doubles_from_about_a_second_to_a_minute(
    attempt: int, shortest: float, longest: float
) -> None:
    assert backoff(attempt, chance=0.0) == timedelta(seconds=shortest)
    assert backoff(attempt, chance=1.0) == timedelta(seconds=longest)


@given(attempt=st.integers(1, 10_000), chances=st.tuples(st.floats(0, 1), st.floats(0, 1)))
@settings(max_examples=30)
def test_chance_spreads_the_backoff_and_never_ends_it(
    attempt: int, chances: tuple[float, float]
) -> None:
    low, high = (backoff(attempt, chance=chance) for chance in sorted(chances))

    assert timedelta(seconds=0.75) <= low <= high <= LONGEST


def test_probes_come_after_1_2_4_and_so_on_up_to_60_seconds() -> None:
    waits = [probe_interval(probes).total_seconds() for probes in range(9)]

    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert all(before <= after for before, after in pairwise(waits))
