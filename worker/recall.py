"""What the journal tells whoever takes a lane: what was settled, and when calls were made."""

from __future__ import annotations

from collections import deque
from itertools import repeat
from time import time
from typing import TYPE_CHECKING

from pydantic_core import from_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from worker.account import Account
    from worker.core.delivery import Publication
    from worker.core.memory import Memory


class Recall:
    """Feeds the memory of repeats, and counts calls for limits over a minute or longer."""

    def __init__(self, memory: Memory, now: Callable[[], float]) -> None:
        """`now`: the loop's monotonic clock, in seconds."""
        self._memory = memory
        self._now = now
        self._taken: dict[str, deque[float]] = {}

    def watch(self, accounts: Iterable[Account]) -> None:
        """Count calls for those accounts that have a limit beyond the shortest."""
        self._taken = {
            account.name: self._taken.get(account.name, deque(maxlen=_most(account)))
            for account in accounts
            if len(account.rates) > 1
        }

    def hear(self, event: Publication) -> None:
        """Take in one event of the journal."""
        now = self._now()
        stamped = event.properties.timestamp
        age = max(0.0, time() - stamped) if stamped else 0.0
        self._memory.recall(event, now, age)
        if self._taken:
            self._count(event, now - age)

    def taken(self, account: str) -> list[float] | None:
        """When calls of the account were made, in monotonic seconds; None if nobody counted."""
        taken = self._taken.get(account)
        return None if taken is None else list(taken)

    def _count(self, event: Publication, at: float) -> None:
        try:
            data = from_json(event.body, allow_inf_nan=False)["data"]
            taken, calls = self._taken.get(data["account"]), data["attempts"]
        except (ValueError, KeyError, TypeError):
            return  # not an event of ours: somebody else published to the stream
        if taken is not None and isinstance(calls, int):
            taken.extend(repeat(at, min(calls, taken.maxlen or 0)))


def _most(account: Account) -> int:
    return max(rate.calls for rate in account.rates)
