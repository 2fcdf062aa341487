"""Whose fault a reply is: the provider's whole status table as one function, and the backoff.

Source: `ops/docs/provider-api.md`, after the provider's page for taskEdit and its English siblings.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from schemas import Reason
from worker.core.reply import Answered, Reply, Unanswered
from worker.core.verdict import Applied, Rejected, Retry, Suspend

if TYPE_CHECKING:
    from collections.abc import Mapping

    from worker.core.verdict import Verdict


SUCCESS = "0"
CLOCK = "-4"
LARGEST_CLOCK_OFFSET = timedelta(days=1)
"""How far the API's clock can be from ours; a `Date` beyond that is a slip of who wrote it."""
SYSTEM_ERROR = "-5"
THROTTLED = frozenset(("http:429", "http:503"))
AT_ONCE = timedelta(0)


class Fault(StrEnum):
    """Where a status puts the blame; the names operators write in `verdicts`."""

    APPLIED = "applied"
    REJECTED = "rejected"
    RETRY = "retry"
    SUSPEND = "suspend"


_SUSPEND = "-1 -3 -6 -49 -50 -57 -58 -59 http:401 http:403 http:404 http:407"
_RETRY = "-5 -46"
FAULTS: Mapping[str, Fault] = MappingProxyType(
    {SUCCESS: Fault.APPLIED}
    | dict.fromkeys(_SUSPEND.split(), Fault.SUSPEND)
    | dict.fromkeys(_RETRY.split(), Fault.RETRY)
)
"""Every documented status that does not reject the edit; all others do, known or not."""

BLAMES_EDIT_IN_THE_END = frozenset(("-46",))
"""Retried, but a rejection by the API when attempts run out: a network or a parameter error."""

MEANINGS: Mapping[str, str] = MappingProxyType(
    {
        "-1": "account authentication failed",
        "-3": "balance exhausted",
        "-4": "timestamp expired",
        "-5": "system error",
        "-6": "IP not allowed",
        "-27": "parameter check failed",
        "-28": "AUTO without a start time",
        "-29": "redial rule",
        "-30": "redial interval",
        "-31": "redial times",
        "-32": "task does not exist",
        "-33": "name already exists",
        "-37": "application does not exist",
        "-38": "task state does not allow pausing",
        "-39": "task state does not allow starting",
        "-41": "script id",
        "-45": "no customers imported, cannot start",
        "-46": "network error or parameter error",
        "-48": "daily window outside 9:00 to 20:00",
        "-49": "account not verified",
        "-50": "application has no price",
        "-51": "customer properties incomplete",
        "-52": "concurrency above the account's maximum",
        "-55": "script unbound",
        "-57": "sign missing",
        "-58": "timestamp missing",
        "-59": "api key missing",
        "-60": "intention label group does not exist",
    }
)


@dataclass(frozen=True, slots=True)
class Policy:
    """What an account's operator may decide of the judgement."""

    attempts: int = 5
    overrides: Mapping[str, Fault] = field(default_factory=dict)
    """Status to fault, before the provider's table."""

    def fault(self, status: str) -> Fault:
        """Where the blame for `status` goes; an undocumented one rejects the edit."""
        known = self.overrides.get(status) or FAULTS.get(status)
        if known is None:
            return Fault.SUSPEND if status.startswith("http:3") else Fault.REJECTED
        return known


def judge(
    reply: Reply, *, attempt: int, policy: Policy, clock_corrected: bool, chance: float
) -> Verdict:
    """The verdict on an edit from the reply to its given attempt (from 1).

    `clock_corrected`: it was signed again already after ``-4``. `chance` (0 to 1) spreads the
    backoff. Trouble of several calls in a row is weighed by `worker.core.circuit`.
    """
    match reply:
        case Answered(status="0") if "0" not in policy.overrides:
            return Applied(SUCCESS, reply.reason)
        case Answered(status=status) if status in THROTTLED:
            return Suspend(status, "the API asks to slow down", reply.retry_after, throttled=True)
        case Answered(status="-4") if "-4" not in policy.overrides:
            return _expired(clock_corrected=clock_corrected)
        case Answered():
            return _answered(reply, attempt=attempt, policy=policy, chance=chance)
        case Unanswered():
            return _again(reply.status, reply.detail, attempt, policy, chance)


def meaning(status: str, words: str | None = None) -> str:
    """A status in one phrase for people: what it stands for, and what the API said."""
    known = MEANINGS.get(status)
    code = status.removeprefix("http:")
    text = f"the API answered HTTP {code}" if code != status else f"the API answered {status}"
    text += f" ({known})" if known else ""
    return f"{text}: {words}" if words and words != known else text


def _expired(*, clock_corrected: bool) -> Verdict:
    detail = "the API says that our timestamp has expired"
    if clock_corrected:
        return Suspend(CLOCK, f"{detail}, also after correcting the clock by its Date header")
    return Retry(AT_ONCE, CLOCK, detail, counted=False)


def _answered(reply: Answered, *, attempt: int, policy: Policy, chance: float) -> Verdict:
    detail = meaning(reply.status, reply.reason)
    match policy.fault(reply.status):
        case Fault.APPLIED:
            return Applied(reply.status, reply.reason)
        case Fault.REJECTED:
            return Rejected(Reason.API_REJECTED, detail, status=reply.status, words=reply.reason)
        case Fault.SUSPEND if reply.status in policy.overrides:
            return Suspend(reply.status, detail)  # who says so themselves are taken at their word
        case Fault.SUSPEND:
            instead = _again(
                reply.status, detail, attempt, policy, chance, reply.reason, blames_edit=True
            )
            return Suspend(reply.status, detail, instead=instead)
        case Fault.RETRY:
            blames_edit = reply.status in BLAMES_EDIT_IN_THE_END
            return _again(
                reply.status, detail, attempt, policy, chance, reply.reason, blames_edit=blames_edit
            )


def _again(
    status: str | None,
    detail: str,
    attempt: int,
    policy: Policy,
    chance: float,
    words: str | None = None,
    *,
    blames_edit: bool = False,
) -> Retry | Rejected:
    if attempt < policy.attempts:
        return Retry(backoff(attempt, chance=chance), status, detail)
    reason = Reason.API_REJECTED if blames_edit else Reason.EXHAUSTED
    return Rejected(reason, f"{detail} (attempt {attempt} of {attempt})", (), status, words)


LONGEST = timedelta(seconds=60)
_FIRST = timedelta(seconds=1)
_DOUBLINGS = 6  # 64 s is above LONGEST


def backoff(attempt: int, *, chance: float) -> timedelta:
    """About 1, 2, 4 … 60 s after the given attempt (from 1).

    `chance`, from 0 to 1, spreads the wait over plus and minus a quarter, so that many that
    failed together do not come back together.
    """
    exact = _FIRST * (1 << min(attempt - 1, _DOUBLINGS))
    return min(exact * (0.75 + chance / 2), LONGEST)


def probe_interval(probes: int) -> timedelta:
    """1, 2, 4 … 60 s: the wait of a suspended lane before its next probe, after `probes`."""
    return min(_FIRST * (1 << min(probes, _DOUBLINGS)), LONGEST)
