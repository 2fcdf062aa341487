"""The calls of one lane: threads that sign, call and bring back the reply."""

from __future__ import annotations

from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread
from time import monotonic, time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.core.health import Call
    from worker.core.order import Waiting
    from worker.core.reply import Reply


class Caller(Protocol):
    """Calls the API once; thread-safe. Trouble with the API is a reply; a raise is a bug."""

    def call(self, body: bytes, timestamp: int, *, traceparent: str | None = None) -> Reply:
        """Sign and send `body` now; returns within the account's call timeout."""


@dataclass(slots=True, eq=False)
class Task:
    """One call to make, and afterwards what came of it."""

    waiting: Waiting
    knew: Call
    clock_offset: float
    reply: Reply | None = None
    """None after the call: it was not begun, for the lease had run out."""
    bug: Exception | None = None
    seconds: float = 0.0


class Callers:
    """Threads that make a lane's calls, as many as were ever needed at once.

    `may_call` is asked right before each call; `done` gets each task back, on the caller's
    thread. A lane has its own, so one that is slow takes no thread from another.
    """

    def __init__(
        self, name: str, caller: Caller, may_call: Callable[[], bool], done: Callable[[Task], None]
    ) -> None:
        self.caller = caller
        self._name = name
        self._may_call = may_call
        self._done = done
        self._tasks: SimpleQueue[Task | None] = SimpleQueue()
        self._threads = 0

    def begin(self, task: Task, in_flight: int) -> None:
        """Have a task called; `in_flight` counts those under way, this one included."""
        self._tasks.put(task)
        if self._threads < in_flight:
            self._threads += 1
            name = f"call-{self._name}-{self._threads}"
            Thread(target=self._run, name=name, daemon=True).start()

    def stop(self) -> None:
        """End the threads once what was begun is done."""
        for _ in range(self._threads):
            self._tasks.put(None)
        self._threads = 0

    def _run(self) -> None:
        tasks, done = self._tasks, self._done
        while (task := tasks.get()) is not None:
            self._make(task)
            done(task)

    def _make(self, task: Task) -> None:
        begun = monotonic()
        if not self._may_call():
            return
        try:
            timestamp = int(time() + task.clock_offset)
            task.reply = self._called(task.waiting, timestamp)
        except Exception as bug:  # noqa: BLE001 (the one broad except: see design, "Verdict")
            task.bug = bug
        task.seconds = monotonic() - begun

    def _called(self, waiting: Waiting, timestamp: int) -> Reply:
        call, request, trace = self.caller.call, waiting.edit.request, waiting.trace
        if trace is None:
            return call(request, timestamp)
        return trace.call(lambda parent: call(request, timestamp, traceparent=parent))
