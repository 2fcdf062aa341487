"""When a lane stops: whole sequences of replies, and whose fault they make each failure."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from schemas import Reason
from tests.unit.builders import account, waiting
from worker.core.circuit import State
from worker.core.judge import Fault, Policy
from worker.core.reply import Answered, Unanswered
from worker.core.verdict import Applied, Rejected, Retry, Verdict
from worker.pipeline.account_state import AccountState
from worker.pipeline.callers import ApiCall
from worker.pipeline.counters import LaneCounters

if TYPE_CHECKING:
    from worker.core.job_queue import HeldEdit
    from worker.core.reply import Reply

GOOD = Answered("0")
NO_BALANCE = Answered("-3")
FORBIDDEN = Answered("http:403")
DOWN = Unanswered("bad gateway", "http:502")
BAD_JOB = 999


class Lane:
    """A lane's account as the circuit sees it: calls one after the other, on a clock of its own."""

    def __init__(self, policy: Policy | None = None) -> None:
        self.tally = LaneCounters()
        self.standing = AccountState(account(policy=policy or Policy()), self.tally, 0.0)
        self.now = 0.0

    def call(self, edit: HeldEdit, reply: Reply) -> Verdict:
        """Once the lane lets calls through."""
        self.now += 0.01 + self.standing.closed_for(self.now)
        self.standing.look(self.now)
        knew = self.standing.before_call(edit)
        return self.standing.hear(ApiCall(edit, knew, 0.0), reply, self.now)

    @property
    def state(self) -> State:
        return self.standing.health.state

    def doubting(self) -> HeldEdit:
        """An edit that was refused, after which another was answered."""
        bad = waiting(BAD_JOB)
        self.call(bad, FORBIDDEN)
        self.call(waiting(1), GOOD)
        assert self.tally.suspensions == 1
        assert self.state is State.RUNNING
        return bad


def test_an_edit_that_alone_is_refused_stops_its_account_once_and_ends_as_rejected() -> None:
    lane = Lane()
    bad = lane.doubting()
    verdicts: list[Verdict] = []

    while not verdicts or isinstance(verdicts[-1], Retry):
        verdicts.append(lane.call(bad, FORBIDDEN))
        for job in range(1, 21):
            assert isinstance(lane.call(waiting(job), GOOD), Applied)

    assert len(verdicts) == 5
    assert isinstance(last := verdicts[-1], Rejected)
    assert (last.reason, last.status) == (Reason.API_REJECTED, "http:403")
    assert lane.tally.suspensions == 1


def test_three_jobs_refused_in_a_row_stop_the_account_and_none_of_them_has_used_an_attempt() -> (
    None
):
    lane = Lane()
    lane.doubting()
    refused = [waiting(job) for job in (5, 6, 7)]

    for edit in refused:
        assert lane.state is State.RUNNING
        lane.call(edit, FORBIDDEN)

    assert lane.state is State.SUSPENDED
    assert [edit.attempts for edit in refused] == [0, 0, 0]


def test_an_answer_between_refusals_begins_the_count_anew() -> None:
    lane = Lane()
    lane.doubting()

    for job in (5, 6, 7, 8, 9):
        lane.call(waiting(job), FORBIDDEN)
        lane.call(waiting(job + 10), GOOD)

    assert lane.state is State.RUNNING


def test_another_status_that_nobody_doubts_stops_the_account_at_once() -> None:
    lane = Lane()
    lane.doubting()

    lane.call(waiting(5), NO_BALANCE)

    assert lane.state is State.SUSPENDED


def test_a_status_that_went_away_for_the_very_edit_that_met_it_was_the_accounts() -> None:
    lane, edit = Lane(), waiting(5)
    lane.call(edit, NO_BALANCE)
    lane.call(edit, GOOD)

    lane.call(waiting(6), NO_BALANCE)

    assert lane.state is State.SUSPENDED


def test_an_operators_word_that_a_status_suspends_is_not_doubted() -> None:
    lane = Lane(Policy(overrides={"-52": Fault.SUSPEND}))
    for job in (1, 2, 3):
        lane.call(waiting(job), Answered("-52"))
        assert lane.state is State.SUSPENDED
        lane.call(waiting(job + 10), GOOD)


@pytest.mark.parametrize("jobs", [1, 2, 3, 20])
@pytest.mark.parametrize("reply", [NO_BALANCE, FORBIDDEN, DOWN, Answered("-1")])
def test_an_outage_uses_nobody_up_however_long_also_where_its_status_is_doubted(
    jobs: int, reply: Reply
) -> None:
    lane = Lane()
    lane.call(waiting(BAD_JOB), reply)
    lane.call(waiting(1), GOOD)
    held = [waiting(job) for job in range(1, jobs + 1)]

    verdicts = [lane.call(held[turn % jobs], reply) for turn in range(500)]

    assert not [each for each in verdicts if isinstance(each, Rejected)]
    assert lane.state is State.SUSPENDED


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("reply", "share"), [(DOWN, 1 / 3), (DOWN, 1 / 2), (Answered("-5"), 1 / 3)]
)
def test_a_brownout_neither_stops_the_lane_nor_uses_anybody_up(
    seed: int, reply: Reply, share: float
) -> None:
    lane, chance = Lane(), Random(seed)
    held = [waiting(job, number=job) for job in range(1, 601)]
    calls = 0

    while held:
        edit = held.pop(chance.randrange(min(len(held), 60)))
        calls += 1
        verdict = lane.call(edit, reply if chance.random() < share else GOOD)
        assert not isinstance(verdict, Rejected)
        if not isinstance(verdict, Applied):
            held.append(edit)

    assert calls < 600 / (1 - share) * 1.25
    assert lane.tally.suspensions <= 3  # until it is known how many fail


def test_an_outage_in_a_brownout_is_seen_all_the_same() -> None:
    lane, chance = Lane(), Random(1)
    for job in range(1, 301):
        lane.call(waiting(job), DOWN if chance.random() < 1 / 3 else GOOD)

    for job in range(1, 21):
        lane.call(waiting(job), DOWN)

    assert lane.state is State.SUSPENDED


def test_an_edit_that_always_fails_in_a_brownout_ends_too() -> None:
    lane, chance, bad = Lane(), Random(1), waiting(BAD_JOB)
    verdict: Verdict | None = None

    for job in range(1, 901):
        lane.call(waiting(job), DOWN if chance.random() < 1 / 3 else GOOD)
        if job % 20 == 0 and not isinstance(verdict, Rejected):
            verdict = lane.call(bad, DOWN)

    assert isinstance(verdict, Rejected)
    assert verdict.reason is Reason.EXHAUSTED
