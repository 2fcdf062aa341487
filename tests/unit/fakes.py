"""The world around a lane, without threads, sockets or waiting: all of it in virtual time."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import TYPE_CHECKING, NoReturn

from worker.pipeline.callers import ApiCall, CallerPool
from worker.pipeline.poison import CrashLedger, Record

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.core.message import Delivery
    from worker.core.reply import Reply

TURN = 1e-6
"""Seconds that a turn of the loop takes: no clock stands still."""


@dataclass(slots=True, eq=False)
class Timer:
    """A callback that is due, or was cancelled."""

    callback: Callable[[], None]
    cancelled: bool = False


class FakeLoop:
    """A `Loop` whose time goes by only in `run`; `late` tells how late each timer fires."""

    def __init__(self, late: Callable[[], float] = lambda: 0.0) -> None:
        self.time = 1000.0
        self.turns = 0
        self._late = late
        self._timers: list[tuple[float, int, Timer]] = []
        self._posted: deque[Callable[[], None]] = deque()

    def now(self) -> float:
        return self.time

    def call_later(self, seconds: float, callback: Callable[[], None]) -> object:
        assert seconds >= 0, "pika's loop refuses negative delays"
        timer = Timer(callback)
        self.turns += 1
        heappush(self._timers, (self.time + seconds + self._late(), self.turns, timer))
        return timer

    def cancel(self, timer: object) -> None:
        assert isinstance(timer, Timer)
        timer.cancelled = True

    def post(self, callback: Callable[[], None]) -> None:
        self._posted.append(callback)

    def soon(self, callback: Callable[[], None]) -> None:
        self._posted.append(callback)

    def run(self, seconds: float = 0.0, *, until: Callable[[], bool] = lambda: False) -> None:
        """Let time go by, or stop before as soon as `until` holds."""
        end = self.time + seconds
        turns = 0
        while not until() and self._turn(end):
            turns += 1
            assert turns < 200_000, "the loop spins"
        self.time = max(self.time, end) if not until() else self.time

    def forget(self) -> None:
        """The process has died, and what it wanted called back with it."""
        self._timers.clear()
        self._posted.clear()

    def _turn(self, end: float) -> bool:
        if self._posted:
            self._posted.popleft()()
            return True
        if not self._timers or self._timers[0][0] > end:
            return False
        due, _, timer = heappop(self._timers)
        self.time = max(self.time, due) + TURN
        if not timer.cancelled:
            timer.callback()
        return True


@dataclass(slots=True, eq=False)
class FakeCall:
    """A call of the API, as it would see it."""

    task: ApiCall
    job: int
    message_id: str | None
    begun: float
    done: Callable[[ApiCall], None]
    ended: float | None = None


class FakeApi:
    """A `Caller` for `FakeCallers`: answers by `script` after `latency`, or when told to."""

    def __init__(
        self,
        loop: FakeLoop,
        script: Callable[[FakeCall], Reply] | None = None,
        latency: Callable[[], float] = lambda: 0.05,
    ) -> None:
        self.loop = loop
        self.script = script
        self.latency = latency
        self.calls: list[FakeCall] = []
        self.under_way: list[FakeCall] = []
        self.watch: Callable[[FakeCall], None] = lambda _: None
        """Told of each call before it begins."""

    def call(
        self,
        body: bytes,
        timestamp: int,
        *,
        traceparent: str | None = None,
        leave: Callable[[], bool],
    ) -> NoReturn:
        raise AssertionError("FakeCallers call by `begin`")

    def begin(self, task: ApiCall, done: Callable[[ApiCall], None]) -> None:
        head = task.waiting.edit.head
        call = FakeCall(task, task.waiting.edit.job, head.message_id, self.loop.now(), done)
        self.watch(call)
        self.calls.append(call)
        self.under_way.append(call)
        if self.script is not None:
            script = self.script
            self.loop.call_later(self.latency(), lambda: self.answer(call, script(call)))

    def answer(self, call: FakeCall, reply: Reply | Exception) -> None:
        """The call returns, or raises."""
        self.under_way.remove(call)
        call.ended = self.loop.now()
        if isinstance(reply, Exception):
            call.task.bug = reply
        else:
            call.task.reply = reply
        call.done(call.task)


class FakeCallers(CallerPool):
    """`CallerPool` without threads: the calls of a `FakeApi`."""

    def begin(self, task: ApiCall, in_flight: int) -> None:
        assert isinstance(self.caller, FakeApi)
        assert in_flight > len(self.caller.under_way)
        if self._may_call():
            self.caller.begin(task, self._done)
        else:
            self._done(task)

    def tend(self) -> None: ...

    def stop(self) -> None: ...


class FakeSuspects(CrashLedger):
    """Notes by message id, without a file."""

    def __init__(self) -> None:
        self.notes: dict[str | None, Record] = {}
        self.begun: list[tuple[str | None, bool]] = []

    def known(self, delivery: Delivery) -> Record:
        return self.notes.get(delivery.properties.message_id, Record())

    def begin(self, delivery: Delivery, *, alone: bool) -> None:
        self.begun.append((delivery.properties.message_id, alone))

    def end(self, delivery: Delivery) -> None:
        self.notes.pop(delivery.properties.message_id, None)
