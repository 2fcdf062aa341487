"""The one thread on which everything but the calls happens, as the rest of the worker sees it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Item = TypeVar("Item")

LINGER = 0.002
"""Seconds between looks under load: long enough for several things, short beside any call."""
LOAD = 2
"""Things found at one look that make it load."""


class Loop(Protocol):
    """Timers of one thread. Everything but `post` is called on that thread only."""

    def now(self) -> float:
        """Monotonic seconds."""

    def call_later(self, seconds: float, callback: Callable[[], None]) -> object:
        """Call back once after `seconds`; what it returns can be given to `cancel`."""

    def cancel(self, timer: object) -> None:
        """Forget a timer; one that has fired already is no error."""

    def soon(self, callback: Callable[[], None]) -> None:
        """Call back at the end of this turn, before the loop waits for anything again."""

    def post(self, callback: Callable[[], None]) -> None:
        """Call back soon on the loop's thread; the only method for other threads."""


class Mailbox(Generic[Item]):
    """Hands things from other threads to the loop, with one wake-up for as many as there are.

    Waking a sleeping loop costs a system call and, worse, the interpreter's lock. So a look that
    finds several things is followed by another after `LINGER`, with no need to be woken; one
    that finds fewer ends the lingering, and the next thing wakes the loop at once.
    """

    __slots__ = ("_deliver", "_items", "_loop", "_woken")

    def __init__(self, loop: Loop, deliver: Callable[[Item], None]) -> None:
        self._loop = loop
        self._deliver = deliver
        self._items: deque[Item] = deque()
        self._woken = False

    def put(self, item: Item) -> None:
        """Have `item` delivered on the loop's thread; callable from any thread."""
        self._items.append(item)
        if not self._woken:
            self._woken = True
            self._loop.post(self._empty)

    def _empty(self) -> None:
        self._woken = False  # before looking: what comes after the look wakes the loop again
        items, deliver, found = self._items, self._deliver, 0
        while items:
            deliver(items.popleft())
            found += 1
        if found >= LOAD and not self._woken:
            self._woken = True
            self._loop.call_later(LINGER, self._empty)
