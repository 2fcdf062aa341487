"""What a lane learns from the replies: whose fault it is, and what to do about it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import time
from typing import TYPE_CHECKING

import pytest

from schemas import Reason
from tests.unit.builders import account, waiting
from worker.core.circuit import State
from worker.core.judge import Policy
from worker.core.reply import Answered, Reply, Unanswered
from worker.core.verdict import Applied, Rejected, Retry, Suspend, Verdict
from worker.pipeline.account_state import AccountState
from worker.pipeline.callers import ApiCall
from worker.pipeline.counters import LaneCounters

if TYPE_CHECKING:
    from worker.core.job_queue import HeldEdit

GOOD = Answered("0", "success")
REFUSED = Answered("-33", "name exists")
SYSTEM_ERROR = Answered("-5")
UNCLEAR = Answered("-46")
NO_BALANCE = Answered("-3")
SLOW_DOWN = Answered("http:429")
NOTHING = Unanswered("no reply within 30 s")


def standing(attempts: int = 5) -> AccountState:
    return AccountState(account(policy=Policy(attempts=attempts)), LaneCounters(), 0.0)


def begin(lane: AccountState, edit: HeldEdit) -> ApiCall:
    return ApiCall(edit, lane.before_call(edit), lane.clock_offset)


def call(lane: AccountState, edit: HeldEdit, reply: Reply, now: float = 0.0) -> Verdict:
    return lane.hear(begin(lane, edit), reply, now)


def state(lane: AccountState) -> State:
    return lane.health.state


def edits(jobs: int) -> list[HeldEdit]:
    return [waiting(job, number=job) for job in range(1, jobs + 1)]


@pytest.mark.parametrize(
    ("replies", "suspends"),
    [
        ([NOTHING, NOTHING], False),
        ([NOTHING, NOTHING, NOTHING], True),
        ([NOTHING, NOTHING, GOOD, NOTHING, NOTHING], False),
        ([NOTHING, NOTHING, REFUSED, NOTHING, NOTHING], False),
        ([NOTHING, NOTHING, UNCLEAR, NOTHING, NOTHING], False),
        ([SYSTEM_ERROR, SYSTEM_ERROR], False),
        ([SYSTEM_ERROR, SYSTEM_ERROR, SYSTEM_ERROR], True),
        ([SYSTEM_ERROR, SYSTEM_ERROR, GOOD, SYSTEM_ERROR], False),
        ([NOTHING, SYSTEM_ERROR, NOTHING, SYSTEM_ERROR], False),
        ([UNCLEAR, UNCLEAR, UNCLEAR, UNCLEAR], False),
        ([NO_BALANCE], True),
        ([GOOD, REFUSED], False),
    ],
)
def test_a_lane_is_suspended_by_one_clear_answer_or_by_three_failures_in_a_row(
    replies: list[Reply], suspends: bool
) -> None:
    lane = standing()

    for edit, reply in zip(edits(9), replies, strict=False):
        call(lane, edit, reply)

    assert (lane.health.state is State.SUSPENDED) is suspends


def test_one_edit_that_has_no_answer_three_times_suspends_as_three_edits_do() -> None:
    lane, edit = standing(), waiting()

    for _ in range(3):
        call(lane, edit, NOTHING)

    assert lane.health.state is State.SUSPENDED


def test_one_job_with_a_system_error_is_not_the_apis_fault_however_often_it_comes() -> None:
    lane, edit = standing(), waiting()

    verdicts = [call(lane, edit, SYSTEM_ERROR) for _ in range(5)]

    assert lane.health.state is State.RUNNING
    assert isinstance(verdicts[-1], Rejected)
    assert verdicts[-1].reason is Reason.EXHAUSTED


@pytest.mark.parametrize("reply", [NOTHING, SYSTEM_ERROR], ids=["no answer", "system error"])
def test_failures_that_suspend_a_lane_were_no_attempts(reply: Reply) -> None:
    lane, failing = standing(), edits(3)

    verdicts = [call(lane, edit, reply) for edit in failing]

    assert isinstance(verdicts[-1], Retry)
    assert not verdicts[-1].counted
    assert [edit.attempts for edit in failing] == [0, 0, 0]


@pytest.mark.parametrize("attempts", [1, 2, 3, 5])
@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_no_edit_is_used_up_by_an_outage_however_few_there_are(attempts: int, jobs: int) -> None:
    lane, held = standing(attempts), edits(jobs)

    verdicts = [call(lane, held[turn % jobs], NOTHING, float(turn)) for turn in range(100)]

    assert not [each for each in verdicts if isinstance(each, Rejected)]
    assert state(lane) is State.SUSPENDED
    assert call(lane, held[0], GOOD) == Applied("0", "success")
    assert state(lane) is State.RUNNING


@pytest.mark.parametrize(("attempts", "jobs"), [(1, 50), (2, 50), (5, 50), (2, 2), (5, 2), (5, 3)])
def test_a_lane_outlives_an_api_that_comes_and_goes(attempts: int, jobs: int) -> None:
    lane, held = standing(attempts), edits(jobs)
    verdicts: list[Verdict] = []

    for _ in range(20):
        verdicts += [call(lane, held[turn % jobs], NOTHING) for turn in range(50)]
        good = waiting(job=99)
        assert isinstance(call(lane, good, GOOD), Applied)
        assert lane.health.state is State.RUNNING

    # With a single attempt there is none to take back from those that failed before the third.
    most = 0 if attempts > 1 else 2 * 20
    assert sum(isinstance(each, Rejected) for each in verdicts) <= most


@pytest.mark.parametrize("attempts", [1, 2, 3, 5])
def test_one_edit_that_makes_the_api_fail_ends_exhausted_while_others_are_answered(
    attempts: int,
) -> None:
    lane, bad = standing(attempts), waiting(job=100)
    verdict: Verdict | None = None
    calls = 0

    for good in edits(20):
        if not isinstance(verdict, Rejected):
            verdict = call(lane, bad, NOTHING)
            calls += 1
        assert isinstance(call(lane, good, GOOD), Applied)

    assert isinstance(verdict, Rejected)
    assert verdict.reason is Reason.EXHAUSTED
    assert attempts <= calls <= attempts + 1


def test_a_bad_edit_is_used_up_also_once_it_is_alone_if_others_were_answered_since() -> None:
    lane, bad = standing(), waiting(job=100)
    call(lane, bad, NOTHING)
    call(lane, waiting(), GOOD)

    verdicts = [call(lane, bad, NOTHING) for _ in range(4)]

    assert lane.health.state is State.RUNNING
    assert isinstance(verdicts[-1], Rejected)


def test_edits_to_blame_are_no_longer_so_when_three_of_them_fail_in_a_row() -> None:
    lane, held = standing(), edits(60)
    for edit in held:  # each fails once while the API answers others
        call(lane, edit, NOTHING)
        call(lane, waiting(job=99), GOOD)

    verdicts = [call(lane, edit, NOTHING) for edit in held * 5]

    assert lane.health.state is State.SUSPENDED
    assert not [each for each in verdicts if isinstance(each, Rejected)]


@pytest.mark.parametrize(
    ("reply", "resumes"),
    [
        (GOOD, True),
        (REFUSED, True),
        (UNCLEAR, True),
        (Answered("-77"), True),
        (Answered("http:400"), True),
        (NO_BALANCE, False),
        (Answered("-1"), False),
        (SYSTEM_ERROR, False),
        (NOTHING, False),
    ],
)
def test_a_probe_resumes_the_lane_when_its_answer_blames_neither_account_nor_api(
    reply: Reply, resumes: bool
) -> None:
    lane = standing()
    call(lane, waiting(job=1), NO_BALANCE)

    call(lane, waiting(job=2), reply, now=1.0)

    assert (lane.health.state is State.RUNNING) is resumes


def test_probes_are_put_off_for_1_2_4_seconds_and_so_on_and_at_once_after_a_new_suspension() -> (
    None
):
    lane, edit = standing(), waiting()
    waits = []

    for turn in range(9):
        call(lane, edit, NO_BALANCE, now=100.0 * turn)
        waits.append(lane.closed_for(100.0 * turn))
    call(lane, edit, GOOD, now=1000.0)
    call(lane, edit, NO_BALANCE, now=1001.0)

    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert lane.closed_for(1001.0) == 1


@pytest.mark.parametrize("reply", [GOOD, NO_BALANCE, NOTHING, SYSTEM_ERROR, REFUSED])
def test_calls_that_a_suspension_has_overtaken_change_nothing_of_it(reply: Reply) -> None:
    lane, late = standing(), edits(5)
    under_way = [begin(lane, edit) for edit in late]
    call(lane, waiting(job=99), NO_BALANCE)
    before = replace(lane.health, answers=0, answered=0, recent=())

    for task in under_way:
        lane.hear(task, reply, 0.5)

    assert replace(lane.health, answers=0, answered=0, recent=()) == before
    assert [edit.attempts for edit in late] == [0] * 5


@pytest.mark.parametrize("reply", [NO_BALANCE, NOTHING, SYSTEM_ERROR])
def test_calls_that_began_before_a_suspension_do_not_bring_it_back_once_it_is_over(
    reply: Reply,
) -> None:
    lane, late = standing(), edits(5)
    under_way = [begin(lane, edit) for edit in late]
    call(lane, waiting(job=98), NO_BALANCE)
    call(lane, waiting(job=99), GOOD, now=1.0)

    for task in under_way:
        lane.hear(task, reply, 2.0)

    assert lane.health.state is State.RUNNING
    assert [edit.attempts for edit in late] == [0] * 5


@pytest.mark.parametrize(
    ("asked", "pauses"),
    [
        (None, [1, 2, 4, 8, 16, 32, 60, 60]),
        (timedelta(0), [1, 2, 4, 8, 16, 32, 60, 60]),
        (timedelta(seconds=7), [7, 7, 7, 7]),
        (timedelta(days=2), [3600, 3600]),
    ],
    ids=["no Retry-After", "zero", "seconds", "days"],
)
def test_a_throttled_lane_pauses_as_asked_or_longer_each_time(
    asked: timedelta | None, pauses: list[float]
) -> None:
    lane, edit = standing(), waiting()
    now, found = 0.0, []

    for _ in pauses:
        assert isinstance(call(lane, edit, replace(SLOW_DOWN, retry_after=asked), now), Suspend)
        found.append(lane.closed_for(now))
        now += found[-1]
        assert lane.look(now - 0.1) is State.THROTTLED
        assert lane.look(now) is State.RUNNING

    assert found == pauses
    assert edit.attempts == 0


def test_a_throttled_lane_forgets_how_often_once_the_api_answers() -> None:
    lane, edit = standing(), waiting()
    for now in (0.0, 1.0):
        call(lane, edit, SLOW_DOWN, now)
        lane.look(now + 60)
    call(lane, edit, GOOD, 100.0)

    call(lane, edit, SLOW_DOWN, 101.0)

    assert lane.closed_for(101.0) == 1


def test_calls_under_way_when_the_api_throttles_do_not_lengthen_the_pause_step_by_step() -> None:
    lane = standing()
    under_way = [begin(lane, edit) for edit in edits(10)]

    for task in under_way:
        lane.hear(task, SLOW_DOWN, 0.0)

    assert lane.closed_for(0.0) == 1


def test_the_longest_pause_that_was_asked_for_holds() -> None:
    lane = standing()
    under_way = [begin(lane, edit) for edit in edits(3)]

    for task, seconds in zip(under_way, (5, 30, 10), strict=True):
        lane.hear(task, replace(SLOW_DOWN, retry_after=timedelta(seconds=seconds)), 0.0)

    assert lane.closed_for(0.0) == 30


def test_on_an_expired_timestamp_the_clock_is_set_by_the_replys_date() -> None:
    lane, edit = standing(), waiting()
    ahead = datetime.fromtimestamp(time() + 3600, UTC)

    verdict = call(lane, edit, Answered("-4", date=ahead))

    assert isinstance(verdict, Retry)
    assert verdict.after == timedelta(0)
    assert edit.attempts == 0
    assert lane.clock_offset == pytest.approx(3600, abs=30)
    assert begin(lane, edit).clock_offset == lane.clock_offset
    assert lane.health.state is State.RUNNING


@pytest.mark.parametrize("year", [1, 1970, 9999])
def test_a_date_that_cannot_be_true_does_not_move_our_clock(year: int) -> None:
    lane, edit = standing(), waiting()

    verdict = call(lane, edit, Answered("-4", date=datetime(year, 12, 31, tzinfo=UTC)))

    assert isinstance(verdict, Retry)
    assert lane.clock_offset == 0.0
    assert isinstance(call(lane, edit, Answered("-4")), Suspend)


def test_the_apis_clock_is_watched_and_not_obeyed_before_it_refuses_ours() -> None:
    tally = LaneCounters()
    lane = AccountState(account(), tally, 0.0)
    ahead = datetime.fromtimestamp(time() + 100, UTC)

    call(lane, waiting(), replace(GOOD, date=ahead))

    assert tally.clock_skew == pytest.approx(100, abs=30)
    assert lane.clock_offset == 0.0


def test_a_timestamp_that_expires_again_suspends_the_lane() -> None:
    lane, edit = standing(), waiting()

    call(lane, edit, Answered("-4"))
    call(lane, edit, Answered("-4"))

    assert lane.health.state is State.SUSPENDED
    assert lane.health.status == "-4"


def test_the_time_spent_throttled_and_each_suspension_are_counted() -> None:
    tally = LaneCounters()
    lane = AccountState(account(), tally, 0.0)
    call(lane, waiting(), replace(SLOW_DOWN, retry_after=timedelta(seconds=5)), 10.0)
    lane.look(15.0)
    call(lane, waiting(), NO_BALANCE, 16.0)

    assert (tally.throttles, tally.throttled_seconds, tally.suspensions) == (1, 5.0, 1)


def test_other_settings_are_tried_at_once_by_a_suspended_lane() -> None:
    lane = standing()
    for edit in edits(6):
        call(lane, edit, NO_BALANCE)
    assert lane.closed_for(0.0) > 1

    lane.adopt(account(), 5.0)

    assert state(lane) is State.SUSPENDED
    assert lane.closed_for(5.0) == 0


def test_the_clocks_are_compared_by_every_answer_and_ours_is_corrected_only_when_refused() -> None:
    tally = LaneCounters()
    lane = AccountState(account(), tally, 0.0)
    ahead = datetime.fromtimestamp(time() + 90, UTC)

    call(lane, waiting(), Answered("0", date=ahead))
    assert tally.clock_skew == pytest.approx(90, abs=5)
    assert lane.clock_offset == 0

    call(lane, waiting(), Answered("-4", date=ahead))
    assert lane.clock_offset == pytest.approx(90, abs=5)
