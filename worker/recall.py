"""What the journal tells whoever takes a lane: what was settled, and when calls were made."""

from __future__ import annotations

from collections import deque
from itertools import repeat
from time import time
from typing import TYPE_CHECKING

from pydantic_core import from_json

from schemas.names import PLACE_HEADER
from worker.core.place import place

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
        taken = self._taken.get(account)
        return None if taken is None else list(taken)

    def _note(self, event: Publication, data: dict[str, object]) -> None:
        """An applied edit is its job's newest, as far as its place tells."""
        stood = place(event.properties.headers.text(PLACE_HEADER))
        account, job, said = data.get("account"), data.get("jobId"), data.get("messageId")
        if stood is None or data.get("outcome") != "applied" or type(job) is not int:
            return
        if isinstance(account, str):
            self._memory.applied(account, job, stood, said if isinstance(said, str) else None)

    def _count(self, data: dict[str, object], at: float) -> None:
        account, calls = data.get("account"), data.get("attempts")
        taken = self._taken.get(account) if isinstance(account, str) else None
        if taken is not None and isinstance(calls, int):
            taken.extend(repeat(at, min(calls, taken.maxlen or 0)))


def _most(account: Account) -> int:
    return max(rate.calls for rate in account.rates)
