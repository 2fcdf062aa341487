"""Slots of an account's long limits, set down in the journal before the calls that use them.

Only calls that led to an event can be told from events. So a lane whose account has a limit beyond
the shortest reserves slots a few at a time, each block a message in the journal, and calls only on
a block that RabbitMQ has confirmed. Whoever takes the lane over counts each block as used up.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic_core import from_json, to_json

from worker.core.message import PERSISTENT, Properties, Publication

if TYPE_CHECKING:
    from worker.core.rate_limit import Rate

SLOTS_TYPE = "task-edit.slots"
"""The type of such a message. It goes to the journal alone, never to a subscriber."""
VALID_FOR = 5.0
"""Seconds from its publishing in which a block may be used."""
BLOCKS_IN_A_LIMIT = 40
"""A block is at most this part of a limit: what a holder that dies leaves unused is lost."""


@dataclass(slots=True)
class Slots:
    """Blocks that were confirmed and may be used still. Times are monotonic seconds."""

    _blocks: deque[list[float]] = field(default_factory=deque)
    """Until when, and how many slots are left."""

    def add(self, calls: int, until: float) -> None:
        """A block was confirmed."""
        self._blocks.append([until, calls])

    def left(self, now: float) -> int:
        """How many calls may begin on what was reserved."""
        while self._blocks and (self._blocks[0][0] <= now or self._blocks[0][1] < 1):
            self._blocks.popleft()
        return int(sum(left for _, left in self._blocks))

    def use(self) -> None:
        """A call begins, `left` having told of a slot."""
        if self._blocks:
            self._blocks[0][1] -= 1

    def clear(self) -> None:
        """The lane is another's: it counts them as used."""
        self._blocks.clear()


def block(limits: tuple[Rate, ...], left: int, waiting: int) -> int:
    """How many slots to reserve now: 0 if none, `left` being reserved and `waiting` edits there."""
    longer = limits[1:]
    if not longer:
        return 0
    most = max(1, min(rate.calls for rate in longer) // BLOCKS_IN_A_LIMIT)
    return max(0, min(most, waiting - left)) if left <= most // 2 else 0


def reservation(queue: str, account: str, calls: int, timestamp: int, number: str) -> Publication:
    """The message that sets a block down in the journal; `timestamp` in epoch seconds."""
    properties = Properties(
        delivery_mode=PERSISTENT, message_id=number, timestamp=timestamp, type=SLOTS_TYPE
    )
    return Publication("", queue, to_json({"account": account, "calls": calls}), properties)


def reserved(message: Publication) -> tuple[str, int] | None:
    """Account and number of slots of a block; None for what anybody else may have published."""
    try:
        data = from_json(message.body, allow_inf_nan=False)
    except ValueError:
        return None
    if not isinstance(data, dict):
        return None
    account, calls = data.get("account"), data.get("calls")
    if not isinstance(account, str) or type(calls) is not int or calls < 1:
        return None
    return account, calls
