"""The status table of the provider, whole, and what an operator may change of it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from schemas import Reason
from worker.core.judge import MEANINGS, Fault, Policy, judge
from worker.core.reply import Answered, Reply, Unanswered
from worker.core.verdict import Applied, Rejected, Retry, Suspend, Verdict

TABLE = """
     0              applied     applied
    -1              suspend     suspend
    -3              suspend     suspend
    -4              at once     at once
    -5              retry       exhausted
    -6              suspend     suspend
    -27             rejected    rejected
    -28             rejected    rejected
    -29             rejected    rejected
    -30             rejected    rejected
    -31             rejected    rejected
    -32             rejected    rejected
    -33             rejected    rejected
    -37             rejected    rejected
    -38             rejected    rejected
    -39             rejected    rejected
    -41             rejected    rejected
    -45             rejected    rejected
    -46             retry       rejected
    -48             rejected    rejected
    -49             suspend     suspend
    -50             suspend     suspend
    -51             rejected    rejected
    -52             rejected    rejected
    -55             rejected    rejected
    -57             suspend     suspend
    -58             suspend     suspend
    -59             suspend     suspend
    -60             rejected    rejected
    -2              rejected    rejected
    -999            rejected    rejected
    1               rejected    rejected
    E_UNKNOWN       rejected    rejected
    http:429        throttled   throttled
    http:503        throttled   throttled
    http:301        suspend     suspend
    http:302        suspend     suspend
    http:308        suspend     suspend
    http:401        suspend     suspend
    http:403        suspend     suspend
    http:404        suspend     suspend
    http:407        suspend     suspend
    http:400        rejected    rejected
    http:405        rejected    rejected
    http:413        rejected    rejected
    http:415        rejected    rejected
    http:422        rejected    rejected
    http:499        rejected    rejected
    (http:500)      retry       exhausted
    (http:502)      retry       exhausted
    (http:503)      retry       exhausted
    (http:200)      retry       exhausted
    (timeout)       retry       exhausted
"""
"""The provider's status, and what becomes of the edit at its first and at its last attempt.

In brackets: no answer, but as much of one as was read.
"""
ROWS = [tuple(line.split(maxsplit=1)) for line in TABLE.strip().splitlines()]


def reply_of(status: str) -> Reply:
    if not status.startswith("("):
        return Answered(status, "so it says")
    code = status.strip("()")
    return Unanswered("nothing that can be used", code if code.startswith("http:") else None)


def verdict(reply: Reply, attempt: int = 1, **given: object) -> Verdict:
    policy = given.get("policy", Policy())
    assert isinstance(policy, Policy)
    clock_corrected = bool(given.get("clock_corrected"))
    return judge(reply, attempt=attempt, policy=policy, clock_corrected=clock_corrected, chance=0.5)


def told(verdict: Verdict) -> str:
    """The verdict in the table's words."""
    match verdict:
        case Applied():
            return "applied"
        case Rejected(reason=Reason.API_REJECTED):
            return "rejected"
        case Rejected(reason=reason):
            return reason.value
        case Retry(counted=False):
            return "at once"
        case Retry():
            return "retry"
        case Suspend(throttled=throttled):
            return "throttled" if throttled else "suspend"


@pytest.mark.parametrize(("status", "becomes"), ROWS, ids=[row[0] for row in ROWS])
def test_each_status_puts_the_blame_where_the_table_says(status: str, becomes: str) -> None:
    first, last = becomes.rsplit(maxsplit=1) if "at once" not in becomes else ("at once",) * 2
    reply = reply_of(status)

    verdicts = [verdict(reply, attempt) for attempt in (1, 5)]

    assert [told(each) for each in verdicts] == [first.strip(), last]
    assert {each.status for each in verdicts} == {reply.status}


def test_the_table_leaves_out_no_status_that_the_provider_documents() -> None:
    assert set(MEANINGS) <= {status for status, _ in ROWS}


@pytest.mark.parametrize("attempt", [1, 2, 3, 4])
def test_a_retry_waits_longer_each_time_and_counts(attempt: int) -> None:
    found = verdict(Unanswered("no reply"), attempt)

    assert found == Retry(timedelta(seconds=2 ** (attempt - 1)), None, "no reply")


@pytest.mark.parametrize(
    ("attempts", "attempt", "becomes"),
    [(1, 1, "exhausted"), (2, 1, "retry"), (2, 2, "exhausted"), (9, 8, "retry")],
)
def test_the_account_says_how_many_attempts_there_are(
    attempts: int, attempt: int, becomes: str
) -> None:
    assert told(verdict(Answered("-5"), attempt, policy=Policy(attempts=attempts))) == becomes


def test_a_retry_that_led_nowhere_says_how_often_it_was_tried_and_what_the_api_said() -> None:
    found = verdict(Answered("-46", "bad line"), 5)

    assert isinstance(found, Rejected)
    assert found.detail.startswith("the API answered -46 (network error or parameter error)")
    assert found.detail.endswith("bad line (attempt 5 of 5)")
    assert (found.status, found.words) == ("-46", "bad line")


def test_an_expired_timestamp_is_signed_again_at_once_and_suspends_if_that_does_not_help() -> None:
    again = verdict(Answered("-4"))

    assert isinstance(again, Retry)
    assert (again.after, again.counted) == (timedelta(0), False)
    assert told(verdict(Answered("-4"), clock_corrected=True)) == "suspend"
    assert told(verdict(Answered("-4"), 5, clock_corrected=True)) == "suspend"


def test_throttling_keeps_the_pause_that_the_api_asked_for() -> None:
    pause = timedelta(seconds=7)

    found = verdict(Answered("http:429", retry_after=pause), 5)

    assert found == Suspend("http:429", "the API asks to slow down", pause, throttled=True)


@pytest.mark.parametrize("status", ["0", "-1", "-4", "-5", "-33", "-77", "http:404", "http:400"])
@pytest.mark.parametrize("fault", list(Fault))
def test_an_operator_can_move_any_status_to_another_verdict(status: str, fault: Fault) -> None:
    policy = Policy(overrides={status: fault})

    assert told(verdict(Answered(status), policy=policy)) == fault.value


def test_an_edit_that_was_applied_by_override_keeps_its_status() -> None:
    policy = Policy(overrides={"-33": Fault.APPLIED})

    assert verdict(Answered("-33", "name exists"), policy=policy) == Applied("-33", "name exists")


def test_a_status_retried_by_override_ends_exhausted() -> None:
    policy = Policy(overrides={"-52": Fault.RETRY})

    assert told(verdict(Answered("-52"), 4, policy=policy)) == "retry"
    assert told(verdict(Answered("-52"), 5, policy=policy)) == "exhausted"
