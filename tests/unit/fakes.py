"""The world around a lane, without threads, sockets or waiting: all of it in virtual time."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

from worker.core.reply import Shortage
from worker.loop import Loop
from worker.pipeline.callers import ApiCall, CallerPool
from worker.pipeline.poison import CrashLedger, Record

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context

    from worker.core.message import Delivery
    from worker.core.reply import Leave, Reply

TURN = 1e-6
"""Seconds that a turn of the loop takes: no clock stands still."""


class VirtualEventLoop(asyncio.BaseEventLoop):
    """asyncio's loop without I/O, whose time goes by only in `FakeLoop.run`."""

    def __init__(self, late: Callable[[], float]) -> None:
        super().__init__()
        self.moment = 1000.0
        self.end = 0.0
        self.until: Callable[[], bool] = lambda: False
        self.turns = 0
        self.ending: deque[Callable[[], None]] = deque()
        self._late = late
        self._selector = self

    def time(self) -> float:
        return self.moment

    def call_at(
        self,
        when: float,
        callback: Callable[..., object],
        *args: object,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        return super().call_at(when + self._late(), callback, *args, context=context)

    def select(self, timeout: float | None) -> list[NoReturn]:
        """As asyncio asks its selector: the end of a turn, and the wait for the next."""
        self.turns += 1
        assert self.turns < 200_000, "the loop spins"
        while self.ending:
            self.ending.popleft()()
            timeout = 0
        if self.until() or timeout is None or self.moment + timeout > self.end:
            self.stop()
        elif timeout > 0:
            self.moment += timeout + TURN
        return []

    def forget(self) -> None:
        """What is to happen later does not."""
        self._ready.clear()  # type: ignore[attr-defined]
        self._scheduled.clear()  # type: ignore[attr-defined]
        self.ending.clear()

    def _process_events(self, _: object) -> None: ...

    def _write_to_self(self) -> None: ...

    def __del__(self) -> None:
        """There is nothing that would have to be closed."""


LOOPS: list[FakeLoop] = []
"""Those of the test that runs: what they have begun is ended, and not left to the collector."""
LOOPS_AT_MOST = 20


class FakeLoop(Loop):
    """A `Loop` whose time goes by only in `run`; `late` tells how late each timer fires."""

    def __init__(self, late: Callable[[], float] = lambda: 0.0) -> None:
        self.virtual = VirtualEventLoop(late)
        self.aio = self.virtual
        self.aio.set_exception_handler(self._failed)
        self._failure = None
        self._is_ending = False
        self._tasks = set()
        LOOPS.append(self)
        if len(LOOPS) > LOOPS_AT_MOST:
            LOOPS.pop(0).forget()

    @property
    def time(self) -> float:
        """Monotonic seconds."""
        return self.virtual.moment

    @time.setter
    def time(self, moment: float) -> None:
        self.virtual.moment = moment

    def now(self) -> float:
        return self.virtual.moment

    def soon(self, callback: Callable[[], None]) -> None:
        self.virtual.ending.append(callback)

    def run(self, seconds: float = 0.0, *, until: Callable[[], bool] = lambda: False) -> None:
        """Let time go by, or stop before as soon as `until` holds."""
        virtual = self.virtual
        virtual.end, virtual.until, virtual.turns = virtual.moment + seconds, until, 0
        virtual.run_forever()
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        if not until():
            virtual.moment = max(virtual.moment, virtual.end)

    def forget(self) -> None:
        """The process has died, and what it wanted called back with it."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        while not all(task.done() for task in tasks):
            self.run()
        self.virtual.forget()


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
        script: Callable[[FakeCall], Reply | Shortage] | None = None,
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
        leave: Leave,
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

    def answer(self, call: FakeCall, reply: Reply | Shortage | Exception) -> None:
        """The call returns, or raises."""
        self.under_way.remove(call)
        call.ended = self.loop.now()
        if isinstance(reply, Exception):
            call.task.bug = reply
        elif isinstance(reply, Shortage):
            call.task.shortage = reply.detail
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


@dataclass(slots=True)
class Takers:
    """What replicas tell each other: nothing, until a test says that another took the queue."""

    another: bool = False
    deaf: bool = False
    taken: list[str] = field(default_factory=list)

    def is_anothers(self, _: str) -> bool:
        return self.another

    def may_be_anothers(self, _: str) -> bool:
        return self.another or self.deaf

    async def caught_up(self, taking: str = "") -> None:
        self.taken.append(taking)
        self.another = False
