from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, cast

import pytest

from ops.simulator.account import Account
from ops.simulator.record import APPLIED, THROTTLED, Arrival, Record
from ops.simulator.summary import Tally, lines, tallies, used
from ops.simulator.units import Limit, rate
from tests.contract.simulator.caller import (
    KEY,
    SECRET,
    body,
    call,
    connection,
    dial,
    heard,
    on,
    request,
    signed,
    until,
)

if TYPE_CHECKING:
    from ops.simulator.control import Simulator


def test_a_call_is_recorded_with_all_that_was_seen_of_it(simulator: Simulator) -> None:
    before = time.time()
    content = body(jobId=7, name="día")
    call(simulator.url, content)
    after = time.time()
    (seen,) = simulator.calls()
    assert (seen.account, seen.app_id, seen.job, seen.name) == (KEY, "app-1", 7, "día")
    assert (seen.http, seen.status, seen.fault, seen.applied) == (200, "0", None, True)
    assert seen.digest == hashlib.sha256(content).hexdigest()[:16]
    assert not any((seen.throttled, seen.overlap, seen.trailing, seen.abandoned))
    assert seen.ended is not None
    assert before - 0.1 <= seen.arrived <= seen.ended <= after + 0.1


def test_a_call_that_cannot_be_read_is_recorded_too(simulator: Simulator) -> None:
    call(simulator.url, b"no json", {"Api-Key": "nobody"})
    (seen,) = simulator.calls()
    assert (seen.account, seen.job, seen.name, seen.app_id) == ("nobody", None, None, None)
    assert (seen.status, seen.applied) == ("-1", False)


def test_calls_can_be_read_from_where_one_was(simulator: Simulator) -> None:
    for job in (1, 2, 3):
        call(simulator.url, body(jobId=job))
    first, *rest = simulator.calls()
    assert simulator.calls(since=first.seq) == rest
    assert simulator.calls(since=rest[-1].seq) == []
    simulator.clear(record=True)
    call(simulator.url)
    assert [each.seq for each in simulator.calls()] == [rest[-1].seq + 1]


def test_reading_can_be_left_in_the_middle(simulator: Simulator) -> None:
    with connection(simulator.url) as line:
        for _ in range(1200):
            on(line)
    assert next(simulator.calls_in_turn()).status == "0"
    assert len(simulator.calls()) == 1200


def wait_for(simulator: Simulator, calls: int) -> None:
    until(lambda: len(simulator.calls()) == calls)


def test_two_calls_of_one_job_at_once_are_an_overlap(simulator: Simulator) -> None:
    simulator.fault("stall", times=1)
    with dial(simulator.url) as line:
        line.sendall(request(body(jobId=1)))
        wait_for(simulator, 1)
        call(simulator.url, body(jobId=2))
        call(simulator.url, body(jobId=1))
    until(lambda: simulator.calls()[0].ended is not None)
    call(simulator.url, body(jobId=1))
    assert [each.overlap for each in simulator.calls()] == [False, False, True, False]
    assert simulator.summary()[KEY].overlaps == 1


def test_of_two_calls_of_a_job_the_one_that_ended_does_not_count(simulator: Simulator) -> None:
    simulator.fault("stall", times=2)
    with dial(simulator.url) as first, dial(simulator.url) as second:
        first.sendall(request())
        wait_for(simulator, 1)
        second.sendall(request())
        wait_for(simulator, 2)
        first.close()
        until(lambda: simulator.calls()[0].ended is not None)
        call(simulator.url)
    assert [(each.overlap, each.trailing) for each in simulator.calls()] == [
        (False, False),
        (True, False),
        (True, False),
    ]


def test_the_same_job_of_another_account_is_no_overlap(simulator: Simulator) -> None:
    simulator.account("other", "secret")
    simulator.fault("stall", times=1)
    with dial(simulator.url) as line:
        line.sendall(request())
        wait_for(simulator, 1)
        call(simulator.url, headers=signed("other", "secret"))
    assert not any(each.overlap for each in simulator.calls())


def test_a_call_goes_on_without_its_caller_and_one_behind_it_is_trailing(
    simulator: Simulator,
) -> None:
    simulator.latency("300ms", times=1)
    with dial(simulator.url) as line:
        line.sendall(request())
        wait_for(simulator, 1)
    until(lambda: simulator.calls()[0].abandoned)
    assert call(simulator.url).status == "0"
    until(lambda: simulator.calls()[0].ended is not None)
    left, behind = simulator.calls()
    assert (left.abandoned, left.applied, left.overlap) == (True, True, False)
    assert (left.ended or 0) - left.arrived >= 0.299
    assert (behind.trailing, behind.overlap, behind.abandoned) == (True, False, False)


def test_calls_sent_at_once_on_one_connection_are_answered_in_turn(simulator: Simulator) -> None:
    with dial(simulator.url) as line:
        line.sendall(b"".join(request(body(jobId=job)) for job in (1, 2, 3)))
        got = heard(line, lambda got: got.count(b"}") == 3)
    places = [got.index(b'"data": %d' % job) for job in (1, 2, 3)]
    assert places == sorted(places)
    assert [each.job for each in simulator.calls()] == [1, 2, 3]


def test_a_summary_counts_by_account_and_answer(simulator: Simulator) -> None:
    simulator.account("other", "secret")
    simulator.account(KEY, SECRET, rate="5/h")
    simulator.answer("-3", times=2)
    simulator.fault("http", code=500, times=1)
    with connection(simulator.url) as line:
        for _ in range(7):
            on(line)
    call(simulator.url, headers=signed("other", "secret"))
    found = simulator.summary()
    assert (found[KEY].calls, found[KEY].applied, found[KEY].throttled) == (7, 2, 2)
    assert found[KEY].statuses == {"http:500": 1, "-3": 2, "0": 2, "http:429": 2}
    assert (found[KEY].peak, found[KEY].peak_admitted) == (7, 5)
    assert found["other"].applied == 1
    assert simulator.summary(since=0) == found


def test_a_summary_of_a_span_leaves_the_rest_out(simulator: Simulator) -> None:
    for _ in range(3):
        call(simulator.url)
    first, second, third = simulator.calls()
    found = simulator.summary(since=second.arrived, until=third.arrived)
    assert found[KEY].calls == 1
    assert simulator.summary(since=third.arrived + 1) == {}
    assert first.arrived < second.arrived < third.arrived


@pytest.mark.parametrize(
    ("moments", "since", "until_", "share"),
    [
        ([10.0, 10.5, 11.0, 11.5], None, None, 1.0),
        ([10.0, 11.0, 12.0], None, None, 0.5),
        ([10.0, 10.5], 10.0, 12.0, 0.5),
        ([10.0], None, None, None),
        ([], None, None, None),
    ],
)
def test_the_share_of_the_limit_used(
    moments: list[float], since: float | None, until_: float | None, share: float | None
) -> None:
    tally = Tally()
    for moment in moments:
        tally.arrived(moment, 0)
        tally.arrived(moment, THROTTLED)
    account = Account("key", "secret", limits=rate("2/s,9000/h"))
    assert used(tally, account, since, until_) == share


def test_without_a_limit_there_is_no_share() -> None:
    tally = Tally()
    tally.arrived(1, 0)
    tally.arrived(2, 0)
    assert used(tally, Account("key", "secret"), None, None) is None
    assert Limit(120, rate("1/m")[0].window).per_second == 2


def summed(record: Record) -> dict[str, Tally]:
    """The tallies of the whole record, counted anew."""
    counting = tallies(record, 0, None)
    while True:
        try:
            next(counting)
        except StopIteration as over:
            return cast("dict[str, Tally]", over.value)


def test_a_record_of_many_calls_is_compact_and_its_sums_agree() -> None:
    record, live = Record(), {"key": Tally()}
    for number in range(1, 20_001):
        call = Arrival(number / 7, 1, "key", "app", number % 50, f"name-{number}", b"12345678")
        flags = THROTTLED if number % 3 == 0 else 0
        assert record.begin(call, flags) == number
        live["key"].arrived(call.arrived, flags)
        ended = 0 if flags else APPLIED
        api = None if flags else "0"
        record.end(number, number / 7 + 1, http=200, api=api, fault=None, flags=ended)
        live["key"].ended(200, api, ended, abandoned=False)
    account = {"key": Account("key", "secret", limits=rate("5/s"))}
    assert list(lines(summed(record), account)) == list(lines(live, account))
    assert record.footprint() < 20_000 * 100
    assert '"name": "name-20000"' in record.line(19_999)


def test_a_call_forgotten_under_way_leaves_no_trace(simulator: Simulator) -> None:
    simulator.fault("stall", times=1)
    with dial(simulator.url) as line:
        line.sendall(request())
        wait_for(simulator, 1)
        simulator.clear(record=True)
    with connection(simulator.url) as line_:
        on(line_)
    (seen,) = simulator.calls()
    assert (seen.applied, simulator.summary()[KEY].calls) == (True, 1)
    assert simulator.summary()[KEY].statuses == {"0": 1}
