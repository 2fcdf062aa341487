"""The asyncio loop of one thread, as the rest of the worker sees it.

Two things are added to asyncio: what is to be done at the end of a turn, so that all that a turn
leads to is written at once, and that whatever a callback raises ends the loop.
"""

from __future__ import annotations

import asyncio
import selectors
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    Ready = list[tuple[selectors.SelectorKey, int]]

Item = TypeVar("Item")

BUSY_AT_MOST = 0.002
"""Seconds between looks for input while callbacks lead to more callbacks."""
LINGER = 0.002
"""Seconds between looks under load: long enough for several things, short beside any call."""
ENDS_WITHIN = 1.0
"""Seconds that tasks have to end in once the loop has stopped."""
LOAD = 2
"""Things found at one look that make it load."""


class TurnEndSelector(selectors.DefaultSelector):
    """Does what is left to do at the end of a turn, before it waits for input.

    asyncio asks its selector once a turn, after the callbacks of that turn. One more turn by way
    of `call_soon` would cost a system call, and the interpreter's lock with it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ending: deque[Callable[[], None]] = deque()
        self._look_at = 0.0

    def select(self, timeout: float | None = None) -> Ready:
        """What is ready; nothing at all, and at once, while there is more to do in this turn.

        A look costs a system call and, worse, the interpreter's lock: so callbacks that wait
        (`timeout` is 0 then) come first, and so does what the end of the turn has called for, but
        input is looked for after `BUSY_AT_MOST` all the same.
        """
        ending, is_early = self.ending, monotonic() < self._look_at
        if timeout == 0 and is_early:
            return []
        if ending:
            while ending:
                ending.popleft()()
            if is_early:
                return []
            timeout = 0
        ready: Ready = super().select(timeout)
        self._look_at = monotonic() + BUSY_AT_MOST
        return ready


class Loop:
    """The one thread on which everything but the calls happens.

    All but `post` and `now` is called on that thread only.
    """

    def __init__(self) -> None:
        self._selector = TurnEndSelector()
        self.aio: asyncio.AbstractEventLoop = asyncio.SelectorEventLoop(self._selector)
        self.aio.set_exception_handler(self._failed)
        self._failure: BaseException | None = None
        self._is_ending = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self.turned_at = monotonic()
        """When the loop was last seen turning, in monotonic seconds: see `beat`."""

    def now(self) -> float:
        """Monotonic seconds."""
        return monotonic()

    def call_later(self, seconds: float, callback: Callable[[], None]) -> object:
        """Call back once after `seconds`."""
        return self.aio.call_later(seconds, callback)

    def cancel(self, timer: object) -> None:
        """Forget a timer."""
        timer.cancel()  # type: ignore[attr-defined]

    def soon(self, callback: Callable[[], None]) -> None:
        """Call back at the end of this turn; what is asked for then, still in the same turn."""
        self._selector.ending.append(callback)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Have a coroutine run that nobody waits for; what it raises ends the loop."""
        self.task(work)  # type: ignore[unused-awaitable]

    def task(self, work: Coroutine[Any, Any, Item]) -> asyncio.Task[Item]:
        """Have a coroutine run, to be awaited or cancelled; what it raises ends the loop."""
        task = self.aio.create_task(work)
        self._tasks.add(task)  # asyncio itself keeps tasks by weak references only
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed(None, {"exception": error})

    def future(self) -> asyncio.Future[Any]:
        """Something to await on this loop."""
        return self.aio.create_future()

    def post(self, callback: Callable[[], None]) -> None:
        """Call back soon on the loop's thread; callable from any thread.

        Nothing happens any more once the loop has ended.
        """
        try:
            self.aio.call_soon_threadsafe(callback)
        except RuntimeError:
            if not self.aio.is_closed():
                raise

    def run(self) -> None:
        """Turn until `stop`; what a callback raises ends it and is raised here."""
        self.beat()
        try:
            self.aio.run_forever()
        finally:
            self._cancel_what_is_left()
            self.aio.close()
        if self._failure is not None:
            raise self._failure

    def beat(self) -> None:
        """Note that the loop turns, twice a second, for the liveness probe to see."""
        self.turned_at = monotonic()
        self.call_later(0.5, self.beat)

    def stop(self) -> None:
        """End `run` after this turn; on the loop's thread only."""
        self.aio.stop()

    def _cancel_what_is_left(self) -> None:
        """End every task where it waits, as `asyncio.run` does."""
        self._is_ending = True
        left = list(self._tasks)
        for task in left:
            task.cancel()
        if left:
            self.aio.run_until_complete(asyncio.wait(left, timeout=ENDS_WITHIN))

    def _failed(self, _: object, context: dict[str, Any]) -> None:
        """A bug: a callback has raised, or a task that nobody waits for."""
        error = context.get("exception")
        if self._failure is None:
            self._failure = error or RuntimeError(context["message"])
        if not self._is_ending:
            self.aio.stop()


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
            try:
                self._loop.post(self._empty)
            except MemoryError:
                self._woken = False  # else nothing would wake the loop any more
                raise

    def _empty(self) -> None:
        self._woken = False  # before looking: what comes after the look wakes the loop again
        items, deliver, found = self._items, self._deliver, 0
        while items:
            deliver(items.popleft())
            found += 1
        if found >= LOAD and not self._woken:
            self._woken = True
            self._loop.call_later(LINGER, self._empty)
