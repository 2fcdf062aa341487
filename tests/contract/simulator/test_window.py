from __future__ import annotations

from datetime import timedelta
from itertools import accumulate
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.simulator.summary import Peak
from ops.simulator.units import Limit, duration, rate
from ops.simulator.window import SlidingWindow
from tests.contract.simulator.caller import KEY, SECRET, call, connection, on

if TYPE_CHECKING:
    from ops.simulator.control import Simulator

# Eighths of a second are exact in binary: the edge of a window is met, not just neared.
gaps = st.lists(st.integers(0, 6), max_size=60)
limits = st.lists(
    st.builds(
        Limit, st.integers(1, 5), st.sampled_from([timedelta(seconds=1), timedelta(seconds=3)])
    ),
    max_size=2,
)


def moments(steps: list[int]) -> list[float]:
    return [1000 + eighths / 8 for eighths in accumulate(steps)]


def fits(admitted: list[float], limit: Limit) -> bool:
    """The oracle: every window that ends at a call, by counting."""
    length = limit.window.total_seconds()
    return all(
        sum(end - length < each <= end for each in admitted) <= limit.count for end in admitted
    )


@given(gaps, limits)
def test_what_is_admitted_keeps_every_limit_and_what_is_refused_would_break_one(
    steps: list[int], kept: list[Limit]
) -> None:
    window = SlidingWindow(kept)
    admitted: list[float] = []
    for moment in moments(steps):
        would_fit = all(fits([*admitted, moment], limit) for limit in kept)
        assert window.admit(moment) is would_fit
        if would_fit:
            admitted.append(moment)


@given(gaps)
def test_the_peak_is_that_of_the_fullest_second(steps: list[int]) -> None:
    peak, seen = Peak(), moments(steps)
    for moment in seen:
        peak.add(moment)
    assert peak.most == max((sum(end - 1 < m <= end for m in seen) for end in seen), default=0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("20/s", [(20, 1)]),
        ("20/s, 600/m", [(20, 1), (600, 60)]),
        ("1000/h", [(1000, 3600)]),
    ],
)
def test_a_rate_is_read(text: str, expected: list[tuple[int, int]]) -> None:
    assert [(each.count, each.window.total_seconds()) for each in rate(text)] == expected


@pytest.mark.parametrize("text", ["20", "0/s", "-1/s", "20/d", "x"])
def test_a_bad_rate_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="not a rate"):
        rate(text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("50ms", 0.05), ("1.5s", 1.5), ("2m", 120), (3, 3), ("-1h", -3600)]
)
def test_a_duration_is_read(text: str | float, seconds: float) -> None:
    assert duration(text) == timedelta(seconds=seconds)


def test_a_bad_duration_is_named() -> None:
    with pytest.raises(ValueError, match="not a duration: 'soon'"):
        duration("soon")


def test_calls_above_the_rate_get_429_and_are_not_applied(simulator: Simulator) -> None:
    simulator.account(KEY, SECRET, rate="3/h", retry_after="7")
    with connection(simulator.url) as line:
        codes = [on(line).code for _ in range(5)]
        assert codes == [200, 200, 200, 429, 429]
        assert on(line).headers["Retry-After"] == "7"
    assert [each.throttled for each in simulator.calls()] == [False] * 3 + [True] * 3
    assert simulator.summary()[KEY].applied == 3


def test_a_refusal_says_nothing_of_the_wait_unless_it_is_told_to(simulator: Simulator) -> None:
    simulator.account(KEY, SECRET, rate="1/h")
    call(simulator.url)
    assert call(simulator.url).headers["Retry-After"] is None


def test_the_limit_is_of_the_account_and_counts_bad_calls_too(simulator: Simulator) -> None:
    simulator.account(KEY, SECRET, rate="1/h")
    assert call(simulator.url, b"no json").status == "-27"
    assert call(simulator.url).code == 429
    assert call(simulator.url, headers={"Api-Key": "unknown"}).status == "-1"
