"""Messages that no call can be made of, settled with a bounded share of the loop's time.

They cost nobody a slot of a limit, so nothing else would slow them: a flood of them, to one account
or to none, would take the one I/O thread from all the others.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import partial
from types import coroutine
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

    from worker.loop import Loop

    Settling = Coroutine[object, None, None]

SHARE = 0.2
"""Of the loop's time that all of them may take together."""
AT_ONCE = 0.02
"""Seconds of work that may be done without a pause, after a rest."""


@dataclass(slots=True)
class Budget:
    """What the refusals of all lanes, and of the strays, may use of the loop's time."""

    paid_until: float = 0.0
    """When their share would have paid for what was used (monotonic seconds)."""

    def use(self, begun: float, seconds: float) -> None:
        """Note work of so many seconds, begun at `begun`."""
        self.paid_until = max(self.paid_until, begun) + seconds / SHARE

    def wait(self, now: float) -> float:
        """Seconds until more may be done."""
        return max(0.0, self.paid_until - now - AT_ONCE / SHARE)


class Refusals:
    """Those of one queue, oldest first, one a turn of the loop: so other queues get theirs."""

    def __init__(self, loop: Loop, budget: Budget) -> None:
        self._loop = loop
        self._budget = budget
        self._waiting: deque[Callable[[], Settling]] = deque()
        self._timer: object | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, refuse: Callable[[], Settling]) -> None:
        """Have what `refuse` gives awaited, from the next turn on if there is time for it."""
        self._waiting.append(refuse)
        if self._timer is None:
            self._timer = self._loop.call_later(0, self._go_on)

    def clear(self) -> None:
        """Forget what waits: it went back to its queue."""
        self._waiting.clear()

    def _go_on(self) -> None:
        self._timer = None
        wait = self._budget.wait(self._loop.now())
        if self._waiting and wait <= 0:
            self._loop.spawn(self._charged(self._waiting.popleft()()))
        if self._waiting:
            self._timer = self._loop.call_later(wait, self._go_on)

    async def _charged(self, settling: Settling) -> None:
        """Settle, and have the budget pay for each step between two waits."""
        await _steps(settling, self._loop, self._budget)


@coroutine
def _steps(settling: Settling, loop: Loop, budget: Budget) -> Generator[object, None, None]:
    """Await `settling` step by step, for only so can be told how long each takes."""
    step = partial(settling.send, None)
    while True:
        begun = loop.now()
        try:
            waited_for = step()
        except StopIteration:
            return
        finally:
            budget.use(begun, loop.now() - begun)
        try:
            yield waited_for
        except BaseException as error:  # noqa: BLE001 (whatever it is, it is for the settling)
            step = partial(settling.throw, error)
        else:
            step = partial(settling.send, None)
