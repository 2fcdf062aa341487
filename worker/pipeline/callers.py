"""The calls of one lane: threads that sign, call and bring back the reply."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from threading import Lock, Thread
from time import monotonic, sleep, time
from typing import TYPE_CHECKING, Protocol

import structlog

from worker.core.reply import Shortage

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Callable

    from worker.core.circuit import CallContext
    from worker.core.job_queue import HeldEdit
    from worker.core.rate_limit import Departure, SendLimiter
    from worker.core.reply import Leave, Reply


log = structlog.get_logger()

MEMORY_AGAIN_IN = 0.1
"""Seconds until a result is handed back again for which there was no memory."""
IDLE_ENDS = 60.0
"""Seconds without a call after which a thread ends."""


class Caller(Protocol):
    """Calls the API once; thread-safe. Trouble with the API is a reply; a raise is a bug."""

    def call(
        self,
        body: bytes,
        timestamp: int,
        *,
        traceparent: str | None = None,
        leave: Leave,
    ) -> Reply | Shortage | None:
        """Sign and send `body`; returns within the account's connect and call timeouts.

        `leave` is asked when there is a connection, right before the request goes out on it. If
        it gives nothing, nothing is sent, and there is no reply; else that is called when the
        request has gone.
        """


@dataclass(slots=True, eq=False)
class ApiCall:
    """One call to make, and afterwards what came of it."""

    waiting: HeldEdit
    knew: CallContext
    clock_offset: float
    returned: Future[None] | None = None
    """What the lane awaits; it is for the lane to set."""
    oldest: HeldEdit | None = None
    """The oldest edit of the job, where the call is for a newer one that covers it; else None."""
    reply: Reply | None = None
    """None after the call: it was not begun, for the lease had run out or there was a shortage."""
    left_at: float | None = None
    """When its request left, in monotonic seconds; None: nothing was sent."""
    departure: Departure | None = None
    """The same to the account's limit, where it counts calls as they leave."""
    shortage: str | None = None
    """What this machine lacked for it. Where that is memory, the call may have left before."""
    bug: Exception | None = None
    seconds: float = 0.0

    def left(self) -> None:
        """The request has gone: a thread may wait long for the processor before it can send."""
        self.left_at = monotonic()
        if self.departure is not None:
            self.departure.at = self.left_at


class CallerPool:
    """Threads that make a lane's calls, as many as are needed at once.

    `may_call` is asked before each call, and again right before it leaves, for a connection may
    take seconds to make; `done` gets each task back, on the caller's thread. A lane has its own,
    so one that is slow takes no thread from another.
    """

    def __init__(
        self,
        name: str,
        caller: Caller,
        may_call: Callable[[], bool],
        done: Callable[[ApiCall], None],
        idle_ends: float = IDLE_ENDS,
        start: Callable[[Thread], None] = Thread.start,
    ) -> None:
        """`start` raises `RuntimeError` when the system gives no more threads."""
        self.caller = caller
        self._idle_ends = idle_ends
        self._counting = Lock()
        self._start = start
        self.departures: SendLimiter | None = None
        """Holds the calls to the account's limit at the very moment they leave."""
        self._door = Lock()
        self._name = name
        self._may_call = may_call
        self._done = done
        self._tasks: deque[ApiCall] = deque()
        self._idle: list[Lock] = []
        """A lock for each thread that waits on it, the one that began last at the end."""
        self._waking = False
        """One was woken and has not looked for a task yet; it will wake the next if need be."""
        self._threads = 0
        self._stopped = False
        self.refused = False
        """Whether the system has refused us a thread lately."""
        self.shortage: str | None = None
        """What the system has refused a call lately: a descriptor, say."""

    def begin(self, task: ApiCall, in_flight: int) -> None:
        """Have a task called; `in_flight` counts those under way, this one included."""
        self._tasks.append(task)
        wanted = len(self._idle) < len(self._tasks) and self._threads < in_flight
        if not (wanted and self._hire()) and not self._waking:
            self._wake()

    def tend(self) -> None:
        """Try again, about once a second, for a thread that was refused when there was none."""
        if self._tasks and self._threads == 0:
            self._hire()

    def _hire(self) -> bool:
        """One more thread; False if the system refuses it: then those that there are do the work.

        What was begun waits for one of them. It is nobody's fault, so nobody is told but the log.
        """
        name = f"call-{self._name}-{self._threads + 1}"
        try:
            self._start(Thread(target=self._run, name=name, daemon=True))
        except RuntimeError as why:
            if not self.refused:
                log.warning("threads_short", account=self._name, have=self._threads, why=str(why))
            self.refused = True
            return False
        with self._counting:
            self._threads += 1
        self.refused = False
        return True

    def stop(self) -> None:
        """End the threads once what was begun is done."""
        self._stopped = True
        while self._idle:
            self._wake()

    def _wake(self) -> None:
        """Wake the thread that fell idle last: its stack and its connection are warm still."""
        try:
            bell = self._idle.pop()
        except IndexError:
            return  # all are at work, and look for another task before they rest
        self._waking = True
        bell.release()

    def _run(self) -> None:
        bell, tasks = Lock(), self._tasks
        bell.acquire()
        while True:
            try:
                task = tasks.popleft()
            except IndexError:
                if self._stopped:
                    return
                if not self._rest(bell):
                    return
                continue
            if tasks and not self._waking:
                self._wake()
            self._make(task)
            self._hand_back(task)

    def _hand_back(self, task: ApiCall) -> None:
        """Tell the lane, which else would wait for ever: a lack of memory only delays it."""
        while True:
            try:
                self._note_shortage(task)
                self._done(task)
            except MemoryError:
                sleep(MEMORY_AGAIN_IN)
            else:
                return

    def _rest(self, bell: Lock) -> bool:
        """Wait to be woken, unless a task came in just now and nobody else is on the way to it.

        False when the thread is to end, for nobody has needed it for long.
        """
        self._idle.append(bell)
        if (self._tasks and not self._waking) or self._stopped:
            self._wake()
        if not bell.acquire(timeout=self._idle_ends) and self._may_end(bell):
            return False
        self._waking = False
        return True

    def _may_end(self, bell: Lock) -> bool:
        """Whether the thread of `bell` is needed no more, which is then counted no more."""
        try:
            self._idle.remove(bell)
        except ValueError:  # woken just now
            bell.acquire()
            return False
        with self._counting:
            self._threads -= 1
        # In this order: who begins a task now starts another thread, or the task is seen here.
        if not self._tasks:
            return True
        with self._counting:
            self._threads += 1
        return False

    def _note_shortage(self, task: ApiCall) -> None:
        """Say once what calls cannot be made for, until one is made again."""
        if task.shortage is not None and self.shortage is None:
            log.warning("calls_short", account=self._name, why=task.shortage)
        if task.shortage is not None or task.reply is not None:
            self.shortage = task.shortage

    def _make(self, task: ApiCall) -> None:
        try:
            begun = monotonic()
            if not self._still_ours(task.waiting):
                return
            self._call(task, int(time() + task.clock_offset))
            task.seconds = monotonic() - begun
        except MemoryError:
            task.shortage = None if task.reply else "no memory left"
        except Exception as bug:  # noqa: BLE001 (the one broad except: see `ops/docs/architecture.md`, "The way of an edit")
            if task.reply is None:  # else what the API has said counts, whatever failed after it
                task.bug = bug

    def _call(self, task: ApiCall, timestamp: int) -> None:
        waiting = task.waiting
        request, trace = waiting.edit.request, waiting.trace

        def leave() -> Callable[[], None] | None:
            return task.left if self._may_leave(task) else None

        def call(parent: str | None) -> Reply | None:
            reply = self.caller.call(request, timestamp, traceparent=parent, leave=leave)
            if isinstance(reply, Shortage):
                task.shortage = reply.detail
            else:
                task.reply = reply
            return task.reply

        if trace is None:
            call(None)
        else:
            trace.call(call)

    def _still_ours(self, waiting: HeldEdit) -> bool:
        """Whether the lease holds, and on the same connection that the edit came by.

        A call can wait so long to be made that the lease is lost and regained meanwhile.
        """
        return self._may_call() and waiting.source.alive

    def _may_leave(self, task: ApiCall) -> bool:
        """Wait, behind whoever waits already, until one more call may leave, if it may at all."""
        departures = self.departures
        if departures is None:
            leaves = self._still_ours(task.waiting)
        else:
            with self._door:
                while (wait := departures.wait(monotonic())) > 0:
                    sleep(wait)
                leaves = self._still_ours(task.waiting)
                task.departure = departures.leave(monotonic()) if leaves else None
        task.left_at = monotonic() if leaves else None
        return leaves
