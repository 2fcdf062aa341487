"""What the journal tells whoever takes a lane: what was settled, and when calls were made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic_core import from_json

from schemas.names import PLACE_HEADER
from worker.core.identity import place_in
from worker.core.rate_limit import SLOTS_TYPE, VALID_FOR, PastCalls, merged, reserved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from worker.account import Account
    from worker.core.dedup import RecentOutcomes
    from worker.core.message import Publication


@dataclass(slots=True)
class _Calls:
    """What the journal tells of an account's calls, in two ways; neither knows of all."""

    told: PastCalls = field(default_factory=PastCalls)
    """By events: nothing of calls that led to none."""
    reserved: PastCalls = field(default_factory=PastCalls)
    """By blocks of slots: there are none while the account has no long limit."""


class JournalReplay:
    """Feeds the memory of repeats, and counts the calls of each account."""

    def __init__(self, memory: RecentOutcomes, now: Callable[[], float]) -> None:
        """`now`: the loop's monotonic clock, in seconds."""
        self._memory = memory
        self._now = now
        self._calls: dict[str, _Calls] = {}
        self._most: dict[str, int] = {}

    def watch(self, accounts: Iterable[Account]) -> None:
        """Count calls for these accounts, as many as their limits of now may ask for."""
        self._most = {account.name: _most(account) for account in accounts}
        self._calls = {name: self._calls.get(name, _Calls()) for name in self._most}

    def hear(self, event: Publication, age: float | None = None) -> None:
        """Take in one event of the journal, or a block of slots, so many seconds old.

        Of an unknown age it counts as if it were new.
        """
        now, age = self._now(), age or 0.0
        if event.properties.type == SLOTS_TYPE:
            self._reserve(event, now - age)
            return
        self._memory.keep(event, now)
        try:
            data = from_json(event.body, allow_inf_nan=False)["data"]
        except (ValueError, KeyError, TypeError):
            return  # not an event of ours: somebody else published to the stream
        if isinstance(data, dict):
            self._note(event, data)
            self._count(data, now - age)

    def taken(self, account: str) -> list[float] | None:
        """When calls of the account were made, in monotonic seconds; None if nobody counted."""
        calls = self._calls.get(account)
        if calls is None:
            return None
        most = self._most[account]
        return list(merged(calls.told.newest(most), calls.reserved.newest(most)))

    def _note(self, event: Publication, data: dict[str, object]) -> None:
        """Whose its app was; an applied edit is its job's newest, as far as its place tells."""
        stood = place_in(event.properties.headers.text(PLACE_HEADER))
        account, job, said = data.get("account"), data.get("jobId"), data.get("messageId")
        if isinstance(account, str) and isinstance(app_id := data.get("appId"), str):
            self._memory.settled(app_id, account)
        if stood is None or data.get("outcome") != "applied" or type(job) is not int:
            return
        if isinstance(account, str):
            self._memory.applied(account, job, stood, said if isinstance(said, str) else None)

    def _count(self, data: dict[str, object], at: float) -> None:
        account, calls = data.get("account"), data.get("attempts")
        known = self._calls.get(account) if isinstance(account, str) else None
        if known is not None and type(calls) is int and calls > 0:
            known.told.note(at, min(calls, self._most[str(account)]))

    def _reserve(self, block: Publication, at: float) -> None:
        """Count a block as used up as late as it may have been."""
        account, calls = reserved(block) or ("", 0)
        known = self._calls.get(account)
        if known is not None:
            known.reserved.note(at + VALID_FOR, min(calls, self._most[account]))


def _most(account: Account) -> int:
    return max(rate.calls for rate in account.rates)
