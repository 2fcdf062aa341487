"""The asyncio loop of one thread, as the rest of the worker sees it.

Two things are added to asyncio: what is to be done at the end of a turn, so that all that a turn
leads to is written at once, and that whatever a callback raises ends the loop.
"""

from __future__ import annotations

import asyncio
import selectors
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    Ready = list[tuple[selectors.SelectorKey, int]]


class TurnEndSelector(selectors.DefaultSelector):
    """Does what is left to do at the end of a turn, before it waits for input.

    asyncio asks its selector once a turn, after the callbacks of that turn. One more turn by way
    of `call_soon` would cost a system call, and the interpreter's lock with it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ending: deque[Callable[[], None]] = deque()

    def select(self, timeout: float | None = None) -> Ready:
        """What is ready; after something was done, without waiting: it may have called for more."""
        ending = self.ending
        if ending:
            timeout = 0
            while ending:
                ending.popleft()()
        ready: Ready = super().select(timeout)
        return ready


class PikaLoop:
    """One loop for all connections: everything of theirs happens on the thread that runs it."""

    def __init__(self) -> None:
        self._selector = TurnEndSelector()
        self.aio = asyncio.SelectorEventLoop(self._selector)
        self.aio.set_exception_handler(self._failed)
        self._failure: BaseException | None = None
        self._tasks: set[asyncio.Task[None]] = set()
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

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Have a coroutine run; what it raises ends the loop."""
        task = self.aio.create_task(work)
        self._tasks.add(task)  # asyncio itself keeps tasks by weak references only
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed(None, {"exception": error})

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

    def _failed(self, _: object, context: dict[str, Any]) -> None:
        """A bug: a callback has raised, or a task that nobody waits for."""
        error = context.get("exception")
        if self._failure is None:
            self._failure = error or RuntimeError(context["message"])
        self.aio.stop()
