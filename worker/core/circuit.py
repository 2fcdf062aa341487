"""The state of a lane: running, throttled or suspended, and what moves it between them.

One reply says whose fault it was (`judge`); several in a row say more. Three unanswered calls in
a row, or ``-5`` on three different jobs in a row, are the API's fault: the lane is suspended and
they were not attempts. An edit that failed while the API answered others is at fault itself, so
that one bad edit can neither hold the lane nor be tried for ever; but where three such edits fail
in a row, the API is at fault again.

A status that stops the account does so at once, the first time. When another edit has been
answered after it, that status alone proves nothing of the account any more: from then on it is the
edit's, unless three different jobs meet it with nothing answered between.

Where a share of all calls fails and the others are answered, as in a brownout, a few failures in a
row prove nothing either: it takes so many that chance hardly explains them, to suspend the lane and
to use an edit up.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from math import ceil, log
from typing import TYPE_CHECKING

from schemas import Reason
from worker.core.judge import SYSTEM_ERROR, backoff, probe_interval
from worker.core.verdict import Applied, Rejected, Retry, Suspend

if TYPE_CHECKING:
    from worker.core.verdict import Verdict

IN_A_ROW = 3
MOST_IN_A_ROW = 20
LONGEST_THROTTLE = timedelta(hours=1)
LAST_CALLS = 50
"""Of how many calls the share that fails is taken."""
FEW_CALLS = 20
"""With fewer known, the rest is taken for answered."""
BROWNOUT = 0.1
"""The share of failing calls from which on the next failure is no surprise."""
CHANCE_TO_SUSPEND = 1e-6
CHANCE_TO_USE_UP = 1e-9
"""How improbable a row of failures has to be: of the lane's calls, and of one edit's."""
LONGEST_PAUSE_IN_BROWNOUT = timedelta(seconds=5)
"""Between two calls of an edit, as long as a fair share of all calls is answered."""


class State(StrEnum):
    """What a lane does with the edits it holds."""

    RUNNING = "running"
    THROTTLED = "throttled"
    SUSPENDED = "suspended"


@dataclass(frozen=True, slots=True)
class CallContext:
    """What the lane knew of a call when it began, and of its edit."""

    job: int
    probe: bool
    begun: int
    """The lane's `Circuit.turns` at the time: tells a call that a suspension has overtaken."""
    blamed: bool
    """The API has answered other calls since this edit first failed like that."""
    number: int = 0
    """How many calls the lane had begun, with this one."""
    failures: int = 0
    """Calls of its edit that have failed while others were answered."""


@dataclass(frozen=True, slots=True)
class Circuit:
    """A lane's state, why and since when; times are monotonic seconds."""

    state: State = State.RUNNING
    since: float = 0.0
    until: float | None = None
    """When a throttled lane goes on, or a suspended one may probe next."""
    why: str | None = None
    status: str | None = None
    turns: int = 0
    """How often the lane has been stopped; calls of an earlier turn say nothing new."""
    pauses: int = 0
    """Probes without success, or throttled replies in a row: they set the next wait."""
    unanswered: int = 0
    blamed: tuple[int, ...] = ()
    """The different jobs of edits to blame among the last calls, all without an answer."""
    system_errors: tuple[int, ...] = ()
    """The different jobs that the last replies, all ``-5``, were about."""
    refused: tuple[int, ...] = ()
    """The different jobs that met a doubted status since the last answer."""
    answers: int = 0
    """Answers outside the Suspend rows so far."""
    answered: int = 0
    """The number of the call begun last among those that were answered so."""
    accused: int | None = None
    """The job whose edit met the status that the lane is suspended for."""
    doubted: frozenset[str] = frozenset()
    """Statuses after which an edit of another job was answered: alone they suspend no more."""
    recent: tuple[int, ...] = ()
    """Of the last calls, in their order: the job of each that failed, 0 for an answer."""


@dataclass(frozen=True, slots=True)
class Transition:
    """What a reply means for the lane and for its edit."""

    health: Circuit
    verdict: Verdict
    """As judged, or a Retry that does not count when the edit is not to blame."""
    forgiven: bool = False
    """The calls of the streak that ended here were not attempts either."""


def next_state(
    health: Circuit, verdict: Verdict, call: CallContext, *, unanswered: bool, now: float
) -> Transition:
    """The lane's next state, and the verdict once the lane's state is known.

    `unanswered`: the reply said nothing of the edit. `now`: monotonic seconds.
    """
    match verdict:
        case Suspend(status=status, instead=Retry() | Rejected() as instead) if (
            status in health.doubted
            and health.state is State.RUNNING
            and call.begun == health.turns
        ):
            return _refused(health, verdict, instead, call, now)
        case Suspend():
            return Transition(_stopped(health, verdict, call, now), verdict)
        case Retry(counted=False):
            return Transition(health, verdict)
        case Retry() | Rejected(reason=Reason.EXHAUSTED):
            if unanswered or verdict.status == SYSTEM_ERROR:
                return _troubled(health, verdict, call, unanswered=unanswered, now=now)
        case Applied() | Rejected():
            pass  # an answer, as is a status that is tried again for this edit's sake
    return Transition(_answered(health, call, now), verdict)


def reopened(health: Circuit, *, now: float) -> Circuit:
    """A throttled lane whose time has come goes on; any other is as it was."""
    if health.state is State.THROTTLED and health.until is not None and now >= health.until:
        return replace(health, state=State.RUNNING, since=now, until=None, why=None, status=None)
    return health


def _answered(health: Circuit, call: CallContext, now: float) -> Circuit:
    answered = max(health.answered, call.number)
    if health.state is State.SUSPENDED and call.probe:
        another = health.accused is not None and call.job != health.accused
        return Circuit(
            since=now,
            turns=health.turns,
            answers=health.answers + 1,
            answered=answered,
            doubted=health.doubted | {health.status or ""} if another else health.doubted,
            recent=_with_call(health.recent, 0),
        )
    return Circuit(  # said in full, for `replace` costs three times as much on every reply
        health.state,
        health.since,
        health.until,
        health.why,
        health.status,
        health.turns,
        0 if health.state is State.RUNNING else health.pauses,
        answers=health.answers + 1,
        answered=answered,
        accused=health.accused,
        doubted=health.doubted,
        recent=_with_call(health.recent, 0),
    )


def _with_call(recent: tuple[int, ...], job: int) -> tuple[int, ...]:
    return (*recent[1 - LAST_CALLS :], job)


def _failing(recent: tuple[int, ...], job: int) -> float:
    """The share, 0 to 1, of failures among calls for other jobs, before those in a row now."""
    end = len(recent)
    while end and recent[end - 1]:
        end -= 1
    others = [each for each in recent[:end] if each != job]
    return sum(map(bool, others)) / max(len(others), FEW_CALLS)


def _refused(
    health: Circuit, verdict: Suspend, instead: Retry | Rejected, call: CallContext, now: float
) -> Transition:
    """A status that alone proves nothing of the account: the edit's, unless three jobs meet it."""
    jobs = tuple(dict.fromkeys((*health.refused, call.job)))
    used_up = isinstance(instead, Rejected) and not call.blamed
    if len(jobs) >= IN_A_ROW or used_up:
        suspended = _suspended(health, verdict.status, verdict.detail, now, accused=call.job)
        return Transition(suspended, verdict, forgiven=True)
    return Transition(replace(health, refused=jobs), instead)


def _stopped(health: Circuit, verdict: Suspend, call: CallContext, now: float) -> Circuit:
    overtaken = call.begun != health.turns and not call.probe
    if verdict.throttled:
        return _throttled(health, verdict, call, now, overtaken=overtaken)
    if health.state is State.SUSPENDED:
        return _still_suspended(health, verdict, now) if call.probe else health
    if overtaken:
        return health
    return _suspended(health, verdict.status, verdict.detail, now, accused=call.job)


def _throttled(
    health: Circuit, verdict: Suspend, call: CallContext, now: float, *, overtaken: bool
) -> Circuit:
    if health.state is State.SUSPENDED and not call.probe:
        return health
    pauses = health.pauses if overtaken else health.pauses + 1
    asked = verdict.after or probe_interval(max(pauses - 1, 0))
    until = now + min(asked, LONGEST_THROTTLE).total_seconds()
    if health.state is State.THROTTLED:
        return replace(health, until=max(until, health.until or until))
    if overtaken and health.state is State.RUNNING and verdict.after is None:
        return health
    return replace(
        health,
        state=State.THROTTLED,
        since=now,
        until=until,
        why=verdict.detail,
        status=verdict.status,
        turns=health.turns + 1,
        pauses=pauses,
        unanswered=0,
        blamed=(),
        system_errors=(),
    )


def _suspended(
    health: Circuit, status: str | None, why: str, now: float, *, accused: int | None = None
) -> Circuit:
    return replace(
        health,
        state=State.SUSPENDED,
        since=now,
        until=now + probe_interval(0).total_seconds(),
        why=why,
        status=status,
        turns=health.turns + 1,
        pauses=1,
        unanswered=0,
        blamed=(),
        system_errors=(),
        refused=(),
        accused=accused,
    )


def _still_suspended(health: Circuit, trouble: Suspend | Retry | Rejected, now: float) -> Circuit:
    return replace(
        health,
        until=now + probe_interval(health.pauses).total_seconds(),
        why=trouble.detail,
        status=trouble.status,
        pauses=health.pauses + 1,
    )


def _troubled(
    health: Circuit, verdict: Retry | Rejected, call: CallContext, *, unanswered: bool, now: float
) -> Transition:
    """A failure that may be the API's: unanswered, or a system error."""
    after = verdict.after if isinstance(verdict, Retry) else timedelta(0)
    excused = Retry(after, verdict.status, verdict.detail, counted=False)
    if health.state is State.SUSPENDED:
        still = _still_suspended(health, verdict, now) if call.probe else health
        return Transition(still, excused)
    if call.begun != health.turns:
        return Transition(health, excused)
    health = _streak(health, call, unanswered=unanswered)
    in_a_row = max(health.unanswered + len(health.blamed), len(health.system_errors))
    failing = _failing(health.recent, call.job)
    brownout = failing >= BROWNOUT
    used_up = isinstance(verdict, Rejected) and unanswered and not (call.blamed or brownout)
    enough = _enough(IN_A_ROW, failing, CHANCE_TO_SUSPEND)
    if in_a_row >= min(enough, MOST_IN_A_ROW) or used_up:
        return Transition(
            _suspended(health, verdict.status, verdict.detail, now), excused, forgiven=True
        )
    return Transition(health, _in_brownout(failing, verdict, call) if brownout else verdict)


def _enough(usually: int, failing: float, chance: float) -> int:
    """How many failures in a row say more than that a share of `failing` (0 to 1) fails."""
    if failing < BROWNOUT:
        return usually
    return max(usually, ceil(log(chance) / log(min(failing, 0.9))))


def _in_brownout(failing: float, verdict: Retry | Rejected, call: CallContext) -> Verdict:
    """Nobody's attempts are used up by a share of failures that would explain as many in a row."""
    if isinstance(verdict, Retry):
        return replace(verdict, after=min(verdict.after, LONGEST_PAUSE_IN_BROWNOUT))
    failures = call.failures + 1
    if call.blamed and failures >= _enough(1, failing, CHANCE_TO_USE_UP):
        return verdict
    after = min(backoff(failures, chance=0.5), LONGEST_PAUSE_IN_BROWNOUT)
    return Retry(after, verdict.status, verdict.detail, counted=False)


def _streak(health: Circuit, call: CallContext, *, unanswered: bool) -> Circuit:
    """One more failure in a row; an edit to blame proves nothing of the API by failing again."""
    health = replace(health, recent=_with_call(health.recent, call.job))
    if unanswered and call.blamed:
        blamed = tuple(dict.fromkeys((*health.blamed, call.job)))
        return replace(health, blamed=blamed, system_errors=())
    if unanswered:
        return replace(health, unanswered=health.unanswered + 1, system_errors=())
    others = tuple(job for job in health.system_errors if job != call.job)
    return replace(health, unanswered=0, blamed=(), system_errors=(*others, call.job))
