"""No window of any limit ever holds more calls than it allows, and hardly fewer under load."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.core.rate_limit import LATENESS, MARGIN, Pacer, Rate, SendLimiter, rates, send_limiter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

SHORT = st.builds(Rate, st.sampled_from((1, 2, 3, 7, 10, 20, 100, 333, 500)), st.just(1.0))
LIMITS = st.one_of(
    SHORT.map(lambda rate: (rate,)),
    st.builds(lambda calls: (Rate(calls, 60.0),), st.integers(1, 900)),
    st.builds(lambda first, calls: (first, Rate(calls, 60.0)), SHORT, st.integers(1, 900)),
    st.builds(
        lambda first, minute, hour: (first, Rate(minute, 60.0), Rate(hour, 3600.0)),
        SHORT,
        st.integers(1, 300),
        st.integers(1, 600),
    ),
)
SEEDS = st.integers(0, 2**32)


def calls(
    pacer: Pacer, arrivals: Iterable[float], lateness: Iterator[float], now: float = 0.0
) -> list[float]:
    """When calls are made for edits that arrive at these times, each wake-up late by so much."""
    made = []
    for arrival in arrivals:
        now = max(now, arrival)
        while (wait := pacer.wait(now)) > 0:
            now += wait + next(lateness)
        pacer.take(now)
        made.append(now)
    return made


def late(seed: int, at_most: float = 0.001) -> Iterator[float]:
    """Lateness of wake-ups; never nothing, for no clock is that exact."""
    random = Random(seed)
    while True:
        yield random.uniform(1e-9, at_most)


def bursts(seed: int, edits: int, span: float) -> list[float]:
    """Arrivals in bunches, with gaps of anything up to `span` seconds between them."""
    random = Random(seed)
    times: list[float] = []
    now = 0.0
    while len(times) < edits:
        times += [now] * random.randint(1, 60)
        now += span * random.random() ** 4
    return times[:edits]


def overfull(made: Sequence[float], limits: Iterable[Rate]) -> list[tuple[Rate, float]]:
    """Every window that holds more than its limit allows, tried one by one, by its end."""
    return [
        (rate, made[last])
        for rate in limits
        for last in range(rate.calls, len(made))
        if made[last] - made[last - rate.calls] < rate.seconds
    ]


@given(limits=LIMITS, seed=SEEDS, late_by=st.sampled_from((1e-6, 0.001, 0.1, 2.0)))
@settings(max_examples=40)
def test_whatever_comes_no_window_of_any_limit_holds_more_than_it_allows(
    limits: tuple[Rate, ...], seed: int, late_by: float
) -> None:
    arrivals = bursts(seed, edits=400, span=2 * limits[-1].seconds)
    taken_before_the_start: list[float] = []

    made = calls(
        Pacer(limits, now=0.0, taken=taken_before_the_start), arrivals, late(seed, late_by)
    )

    assert not overfull(made, limits)


@given(limits=LIMITS, seed=SEEDS)
@settings(max_examples=25)
def test_under_constant_demand_at_least_97_percent_of_the_limit_is_used(
    limits: tuple[Rate, ...], seed: int
) -> None:
    slowest = min(rate.calls / rate.seconds for rate in limits)
    edits = max(3 * max(rate.calls for rate in limits[:2]), 50)

    made = calls(Pacer(limits, now=0.0, taken=[]), [0.0] * edits, late(seed))

    assert made[-1] <= edits / (0.97 * slowest) + 0.01


@given(rate=SHORT, idle=st.floats(0, 1e6), seed=SEEDS)
@settings(max_examples=30)
def test_idleness_buys_no_burst(rate: Rate, idle: float, seed: int) -> None:
    made = calls(Pacer((rate,), now=0.0), [idle] * 30, late(seed))

    spacing = rate.seconds * (1 + MARGIN) / rate.calls
    for count in range(2, len(made) + 1):
        assert made[count - 1] - made[0] >= (count - 1) * spacing - rate.seconds * LATENESS - 1e-6


def test_a_pacer_starts_empty() -> None:
    pacer = Pacer(rates("10/s"), now=50.0)

    assert pacer.wait(50.0) == pytest.approx(0.1015)


@given(seed=SEEDS, limits=LIMITS)
@settings(max_examples=30)
def test_calls_of_whoever_held_the_lane_before_count_in_the_longer_windows(
    limits: tuple[Rate, ...], seed: int
) -> None:
    arrivals = bursts(seed, edits=200, span=limits[-1].seconds / 4)
    before = calls(Pacer(limits, now=0.0, taken=[]), arrivals, late(seed))
    now = before[-1]
    shuffled = Random(seed).sample(before, len(before))

    after = calls(Pacer(limits, now=now, taken=shuffled), [now] * 200, late(seed), now)

    assert not overfull(before + after, limits)


def test_when_nobody_knows_what_was_called_before_a_longer_window_counts_as_used_up() -> None:
    pacer = Pacer(rates("20/s,600/m"), now=100.0)

    assert pacer.wait(100.0) == pytest.approx(60.9)
    assert Pacer(rates("20/s,600/m"), now=100.0, taken=[]).wait(100.0) < 0.06


@given(seed=SEEDS, first=SHORT, then=SHORT, calls_a_minute=st.integers(1, 300))
@settings(max_examples=20)
def test_a_new_limit_does_not_forget_what_was_called_under_the_old(
    seed: int, first: Rate, then: Rate, calls_a_minute: int
) -> None:
    minute = Rate(calls_a_minute, 60.0)
    old = Pacer((first, minute), now=0.0, taken=[])
    before = calls(old, bursts(seed, edits=150, span=10.0), late(seed))
    now = before[-1]

    new = old.replaced((then, minute), now=now)
    after = calls(new, [now] * 150, late(seed), now)

    assert not overfull(before + after, (minute,))
    assert not overfull(after, (then,))


@given(seed=SEEDS, limits=LIMITS, known=st.integers(0, 150))
@settings(max_examples=20)
def test_a_pacer_that_resumes_knows_its_own_calls_and_those_it_is_told_of(
    seed: int, limits: tuple[Rate, ...], known: int
) -> None:
    own = Pacer(limits, now=0.0, taken=[])
    before = calls(own, bursts(seed, edits=150, span=limits[-1].seconds / 4), late(seed))
    now = before[-1]

    resumed = own.resumed(now=now, taken=before[:known])  # of the rest there was no event
    after = calls(resumed, [now] * 150, late(seed), now)

    assert not overfull(before + after, limits)
    assert resumed.wait(now) >= 0
    told_of_none = own.resumed(now=now, taken=None)
    assert told_of_none.wait(now) >= (limits[-1].seconds if len(limits) > 1 else 0)


def test_a_pacer_that_resumes_counts_no_call_twice() -> None:
    limits = rates("100/s,10/m")
    own = Pacer(limits, now=0.0, taken=[])
    before = calls(own, [0.0] * 5, late(0))

    after = calls(own.resumed(now=1.0, taken=before), [1.0] * 5, late(0), 1.0)

    assert after[-1] < 2.0


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("10/s", [(10, 1.0)]),
        ("600/m", [(600, 60.0)]),
        ("20/s,600/m", [(20, 1.0), (600, 60.0)]),
        ("1/d, 600/m ,20/s,9/h", [(20, 1.0), (600, 60.0), (9, 3600.0), (1, 86400.0)]),
    ],
)
def test_limits_are_read_with_the_shortest_window_first(
    text: str, limits: list[tuple[int, float]]
) -> None:
    assert list(rates(text)) == [Rate(calls, seconds) for calls, seconds in limits]


@pytest.mark.parametrize("text", ["10/s", "600/m", "9/h", "1/d"])
def test_a_limit_is_shown_as_it_is_written(text: str) -> None:
    assert str(rates(text)[0]) == text


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "not a valid rate"),
        ("10", "not a valid rate"),
        ("0/s", "not a valid rate"),
        ("-1/s", "not a valid rate"),
        ("1.5/s", "not a valid rate"),
        ("10/w", "not a valid rate"),
        ("1000000/s", "not a valid rate"),
        ("10/s,", "not a valid rate"),
        ("٣/s", "not a valid rate"),
        ("10/s,20/s", "twice"),
    ],
)
def test_what_is_no_limit_is_refused_with_a_sentence(text: str, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        rates(text)


@given(
    st.sampled_from((Rate(1, 1.0), Rate(7, 1.0), Rate(40, 1.0), Rate(300, 60.0))),
    st.lists(st.floats(0, 0.3), min_size=1, max_size=120),
)
def test_whatever_keeps_threads_waiting_no_window_sees_one_departure_too_many(
    limit: Rate, pauses: list[float]
) -> None:
    gate, now, left = SendLimiter(limit), 0.0, []
    for pause in pauses:
        now += pause
        now += gate.wait(now)
        gate.leave(now)
        left.append(now)
    for at, one in enumerate(left[limit.calls :]):
        assert one - left[at] > limit.seconds


def test_departures_at_the_pacers_own_spacing_never_wait() -> None:
    limit = Rate(20, 1.0)
    gate, pacer, now = SendLimiter(limit), Pacer((limit,), now=0.0), 0.0
    for _ in range(200):
        now += pacer.wait(now)
        pacer.take(now)
        assert gate.wait(now) == 0
        gate.leave(now)


def test_rates_beyond_what_threads_can_be_held_to_have_no_gate() -> None:
    assert send_limiter(rates("1000/s")) is not None
    assert send_limiter(rates("1001/s")) is None
