"""What a lane has learned of its account from the replies: its state, and the API's clock."""

from __future__ import annotations

from dataclasses import replace
from random import random
from time import monotonic, time
from typing import TYPE_CHECKING

import structlog

from worker.core.circuit import CallContext, Circuit, State, next_state, reopened
from worker.core.judge import CLOCK, LARGEST_CLOCK_OFFSET, judge
from worker.core.reply import Answered, Unanswered
from worker.core.verdict import Rejected, Retry, Suspend

if TYPE_CHECKING:
    from worker.account import Account
    from worker.core.circuit import Transition
    from worker.core.job_queue import HeldEdit
    from worker.core.reply import Reply
    from worker.core.verdict import Verdict
    from worker.pipeline.callers import ApiCall
    from worker.pipeline.counters import LaneCounters

log = structlog.get_logger()


class AccountState:
    """Judges replies one by one and weighs them together. Times are monotonic seconds."""

    def __init__(self, account: Account, tally: LaneCounters, now: float) -> None:
        self.account = account
        self.health = Circuit(since=now)
        self.clock_offset = 0.0
        """What to add to our clock to have the API's, in seconds."""
        self._tally = tally
        self._streak: list[tuple[HeldEdit, bool]] = []
        self._begun = 0

    def look(self, now: float) -> State:
        """The state at this moment: a throttled lane goes on when its time has come."""
        self._adopt(reopened(self.health, now=now), now)
        return self.health.state

    def closed_for(self, now: float) -> float:
        """Seconds until a call may start again: 0 when running."""
        if self.health.state is State.RUNNING or self.health.until is None:
            return 0.0
        return max(0.0, self.health.until - now)

    def before_call(self, waiting: HeldEdit) -> CallContext:
        """What is to be known of a call when its reply comes."""
        self._begun += 1
        failed_at = waiting.failed_at
        return CallContext(
            waiting.edit.job,
            probe=self.health.state is State.SUSPENDED,
            begun=self.health.turns,
            blamed=failed_at is not None and self.health.answered > failed_at,
            number=self._begun,
            failures=waiting.failures,
        )

    def hear(self, task: ApiCall, reply: Reply, now: float) -> Verdict:
        """The verdict on the edit of a call, after what the reply says of the account."""
        waiting, unanswered = task.waiting, isinstance(reply, Unanswered)
        verdict = judge(
            reply,
            attempt=waiting.attempts + 1,
            policy=self.account.policy,
            clock_corrected=waiting.clock_corrected,
            chance=random(),  # noqa: S311 (jitter, not a secret)
        )
        finding = next_state(self.health, verdict, task.knew, unanswered=unanswered, now=now)
        if isinstance(reply, Answered):
            self._compare_clocks(waiting, reply)
        self._note(waiting, verdict, finding, unanswered=unanswered)
        self._adopt(finding.health, now)
        return finding.verdict

    def _note(
        self, waiting: HeldEdit, verdict: Verdict, finding: Transition, *, unanswered: bool
    ) -> None:
        """Remember with the edits what may turn out to be their fault, or forget it."""
        blames = verdict.instead if isinstance(verdict, Suspend) else None
        status = verdict.status if blames is not None else None
        if finding.forgiven:
            self._forgive(waiting, status, used_up=isinstance(blames or verdict, Rejected))
            return
        if finding.health.answers != self.health.answers:
            self._streak.clear()
        if finding.health is self.health:
            return  # the call began in an earlier turn, or with a time that had expired
        if isinstance(again := finding.verdict, Retry) and finding.health.state is State.RUNNING:
            waiting.failures += 1
            waiting.attempts += again.counted
            self._streak.append((waiting, again.counted))
            if not again.counted:
                waiting.failed_at = None  # to be blamed, others have to be answered once more
            if unanswered or waiting.failed_at is None:
                _mark(waiting, None, self._begun)
        if blames is not None:
            _mark(waiting, status, self._begun)

    def adopt(self, account: Account, now: float) -> None:
        """Go by other settings; a suspended lane probes at once: they may be what it lacked."""
        self.account = account
        if self.health.state is State.SUSPENDED:
            self.health = replace(self.health, until=now, pauses=1)

    def forget_streak(self) -> None:
        """The edits of the last failures are ours no more."""
        self._streak.clear()

    def _forgive(self, last: HeldEdit, status: str | None, *, used_up: bool) -> None:
        """The API was in trouble, so the last failures were no attempts of these edits.

        Where several failed, none is to blame; one that failed all alone may be.
        """
        several = any(waiting is not last for waiting, _ in self._streak)
        for waiting, counted in self._streak:
            waiting.attempts = max(0, waiting.attempts - counted)
            waiting.failures = waiting.attempts
            if several:
                waiting.failed_at = None
        if used_up and not several:
            _mark(last, status, self._begun)
        self._streak.clear()

    def _compare_clocks(self, waiting: HeldEdit, reply: Answered) -> None:
        """Note how far the API's clock is ahead of ours; go by it once it refuses our time.

        A Date header is in whole seconds and may come from a gateway, so it is not obeyed before,
        and never when it cannot be true.
        """
        if reply.date is not None:
            self._tally.clock_skew = reply.date.timestamp() - time()
            self._tally.clocks_compared = monotonic()
        if reply.status == CLOCK:
            waiting.clock_corrected = True
            skew = self._tally.clock_skew
            if reply.date is not None and abs(skew) <= LARGEST_CLOCK_OFFSET.total_seconds():
                self.clock_offset = skew

    def _adopt(self, health: Circuit, now: float) -> None:
        """Take on a state, and say so once when it is another."""
        before, self.health = self.health, health
        if before.state is health.state:
            return
        if before.state is State.THROTTLED:
            self._tally.throttled_seconds += now - before.since
        self._tally.throttles += health.state is State.THROTTLED
        self._tally.suspensions += health.state is State.SUSPENDED
        tell = log.info if health.state is State.RUNNING else log.warning
        tell(
            f"lane_{health.state.value}",
            account=self.account.name,
            why=health.why,
            api_status=health.status,
            before=before.state.value,
        )


def _mark(waiting: HeldEdit, status: str | None, begun: int) -> None:
    """It failed, and not in an outage: it is to blame if calls begun from now on are answered."""
    if waiting.failed_at is None or waiting.failed_with != status:
        waiting.failed_at, waiting.failed_with = begun, status
