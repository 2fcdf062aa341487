"""Real threads that make a lane's calls: as many at once as were begun, and none forgotten."""

from __future__ import annotations

import threading
from itertools import pairwise
from queue import SimpleQueue
from threading import Barrier, BrokenBarrierError, Event, Thread
from time import monotonic, sleep, time
from typing import TYPE_CHECKING

import pytest

from tests.unit.builders import waiting
from worker.core.circuit import CallContext
from worker.core.rate_limit import Rate, SendLimiter, rates, send_limiter
from worker.core.reply import Answered, Reply, Shortage
from worker.pipeline.callers import ApiCall, CallerPool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from worker.core.reply import Leave

DEADLINE = 10.0
GOOD = Answered("0")


class Script:
    """A `Caller` that does what it is told for each call, once it has connected."""

    def __init__(
        self, act: Callable[[bytes, int], Reply | Shortage], connect: Callable[[], None]
    ) -> None:
        self._act = act
        self._connect = connect

    def call(
        self,
        body: bytes,
        timestamp: int,
        *,
        traceparent: str | None = None,
        leave: Leave,
    ) -> Reply | Shortage | None:
        self._connect()
        return self._act(body, timestamp) if leave() else None


def task(job: int = 1, clock_offset: float = 0.0) -> ApiCall:
    knew = CallContext(job, probe=False, begun=0, blamed=False)
    return ApiCall(waiting(job), knew, clock_offset)


POOLS: list[Pool] = []
"""Those of the test that runs: their threads end with it."""


class Pool:
    """Callers, and what they have brought back."""

    def __init__(
        self,
        act: Callable[[bytes, int], Reply | Shortage],
        may_call: Callable[[], bool] = lambda: True,
        connect: Callable[[], None] = lambda: None,
        idle_ends: float = 60.0,
        start: Callable[[Thread], None] = Thread.start,
    ) -> None:
        self.back: SimpleQueue[ApiCall] = SimpleQueue()
        POOLS.append(self)
        act_once = Script(act, connect)
        self.callers = CallerPool("pool", act_once, may_call, self.back.put, idle_ends, start)

    def begin(self, *tasks: ApiCall, in_flight: int | None = None) -> None:
        for number, each in enumerate(tasks, start=1):
            self.callers.begin(each, in_flight or number)

    def returned(self, count: int) -> list[ApiCall]:
        return [self.back.get(timeout=DEADLINE) for _ in range(count)]


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    end = monotonic() + DEADLINE
    while POOLS:
        POOLS.pop().callers.stop()
    for thread in threads():
        thread.join(max(0.0, end - monotonic()))
    assert not threads()


def threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name.startswith("call-pool-")]


def test_a_call_brings_back_its_reply() -> None:
    pool = Pool(lambda body, timestamp: Answered("0", f"{len(body)} at {timestamp}"))
    sent = task(clock_offset=100.0)

    pool.begin(sent)
    [back] = pool.returned(1)

    assert back is sent
    assert isinstance(back.reply, Answered)
    assert back.reply.reason is not None
    length, _, moment = back.reply.reason.partition(" at ")
    assert int(length) == len(sent.waiting.edit.request)
    assert int(moment) == pytest.approx(time() + 100, abs=DEADLINE)
    assert (back.bug, back.seconds >= 0) == (None, True)


def test_what_a_caller_raises_comes_back_as_a_bug_and_the_thread_lives_on() -> None:
    error = RuntimeError("a bug")

    def fail(_: bytes, __: int) -> Reply:
        raise error

    pool = Pool(fail)
    pool.begin(task())
    [back] = pool.returned(1)
    pool.begin(task())
    pool.returned(1)

    assert (back.bug, back.reply) == (error, None)


def test_a_call_that_may_not_be_made_any_more_is_not_made() -> None:
    made: list[bytes] = []

    def act(body: bytes, _: int) -> Reply:
        made.append(body)
        return GOOD

    pool = Pool(act, may_call=lambda: False)
    pool.begin(task())
    [back] = pool.returned(1)

    assert (back.reply, back.bug, made) == (None, None, [])


@pytest.mark.parametrize("limit", ["1/s", "999999/s"])
def test_a_call_whose_lease_ends_while_it_connects_does_not_leave(limit: str) -> None:
    holds, made = Event(), list[bytes]()
    holds.set()

    def act(body: bytes, _: int) -> Reply:
        made.append(body)
        return GOOD

    pool = Pool(act, may_call=holds.is_set, connect=holds.clear)
    pool.callers.departures = send_limiter(rates(limit))
    pool.begin(task())
    [back] = pool.returned(1)

    assert (back.reply, back.bug, made) == (None, None, [])


def test_the_limit_counts_from_when_calls_leave_however_long_they_took_to_connect() -> None:
    """The first connects slowly, the second at once: neither may leave close after the other."""
    left, slow = list[float](), Event()
    slowly = iter([True])

    def connect() -> None:
        if next(slowly, False):
            slow.wait(DEADLINE)

    def act(_: bytes, __: int) -> Reply:
        left.append(monotonic())
        slow.set()
        return GOOD

    pool = Pool(act, connect=connect)
    pool.callers.departures = SendLimiter(Rate(1, 0.2))
    pool.begin(task(1), task(2), task(3))
    pool.returned(3)

    assert all(later - earlier >= 0.2 for earlier, later in pairwise(left))


def test_the_limit_counts_from_when_requests_have_gone_however_long_threads_are_kept() -> None:
    """The first is kept from the processor after it was let go, the second is not."""
    gone, slowly = list[float](), iter([True])

    class Kept:
        def call(
            self, _: bytes, __: int, *, traceparent: str | None = None, leave: Leave
        ) -> Reply | None:
            del traceparent
            sent = leave()
            assert sent is not None
            if next(slowly, False):
                sleep(0.1)
            gone.append(monotonic())
            sent()
            return GOOD

    back: SimpleQueue[ApiCall] = SimpleQueue()
    callers = CallerPool("pool", Kept(), lambda: True, back.put)
    callers.departures = SendLimiter(Rate(1, 0.2))
    for job in (1, 2):
        callers.begin(task(job), job)
        back.get(timeout=DEADLINE)

    assert gone[1] - gone[0] >= 0.2
    callers.stop()


@pytest.mark.parametrize("before", [0, 1, 2, 7])
def test_all_calls_that_were_begun_are_under_way_at_once(before: int) -> None:
    """However many threads there are already, and idle: none waits for another to return."""
    together = Barrier(8)
    warming = Event()

    def act(_: bytes, __: int) -> Reply:
        if warming.is_set():
            together.wait(timeout=DEADLINE / 2)
        return GOOD

    pool = Pool(act)
    pool.begin(*[task(job) for job in range(1, before + 1)])
    pool.returned(before)
    warming.set()
    pool.begin(*[task(job) for job in range(1, 9)])
    back = pool.returned(8)

    assert [each.bug for each in back if isinstance(each.bug, BrokenBarrierError)] == []


def test_there_are_no_more_threads_than_calls_were_under_way_at_once() -> None:
    pool = Pool(lambda _, __: GOOD)

    for _ in range(50):
        pool.begin(task(1), task(2))
        pool.returned(2)

    assert 1 <= len(threads()) <= 2


def test_none_is_forgotten_when_calls_come_and_go_as_fast_as_they_can() -> None:
    pool = Pool(lambda _, __: GOOD)
    under_way = begun = 0
    ended: list[ApiCall] = []

    while len(ended) < 1000:
        while begun < 1000 and under_way < 5:
            under_way += 1
            begun += 1
            pool.begin(task(begun), in_flight=under_way)
        ended += pool.returned(1)
        under_way -= 1

    assert len({id(each) for each in ended}) == 1000


def test_what_was_begun_before_a_stop_is_still_made() -> None:
    go = Event()

    def act(_: bytes, __: int) -> Reply:
        go.wait(DEADLINE)
        return GOOD

    pool = Pool(act)
    pool.begin(task(1), task(2), in_flight=1)
    pool.callers.stop()
    go.set()

    assert [each.reply for each in pool.returned(2)] == [GOOD, GOOD]


def test_what_was_read_of_a_reply_counts_whatever_fails_after_it() -> None:
    class Trace:
        def call(self, make: Callable[[str], Reply | None]) -> None:
            make("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
            raise RuntimeError("a bug")

    pool = Pool(lambda *_: GOOD)
    traced = task()
    traced.waiting.trace = Trace()  # type: ignore[assignment]
    pool.begin(traced)
    [back] = pool.returned(1)
    assert (back.reply, back.bug) == (GOOD, None)


def test_threads_that_nobody_needs_end_and_others_begin_when_they_are_needed() -> None:
    pool = Pool(lambda *_: GOOD, idle_ends=0.05)
    for _ in range(3):
        pool.begin(task(1), task(2), task(3))
        assert [back.reply for back in pool.returned(3)] == [GOOD] * 3
        end = monotonic() + DEADLINE
        while any(thread.name.startswith("call-pool-") for thread in threading.enumerate()):
            assert monotonic() < end


def test_no_task_is_forgotten_while_threads_end() -> None:
    pool = Pool(lambda *_: GOOD, idle_ends=0.0)
    for number in range(2000):
        pool.begin(task(number + 1))
        assert pool.returned(1)[0].reply == GOOD


def at_most(threads: list[int]) -> Callable[[Thread], None]:
    """A system that gives as many threads as the only number says, which may be changed."""

    def start(thread: Thread) -> None:
        if threads[0] == 0:
            raise RuntimeError("can't start new thread")
        threads[0] -= 1
        thread.start()

    return start


def test_where_the_system_gives_few_threads_those_make_all_the_calls() -> None:
    pool = Pool(lambda *_: GOOD, start=at_most([3]))

    pool.begin(*[task(job) for job in range(1, 101)])

    assert {each.reply for each in pool.returned(100)} == {GOOD}
    assert pool.callers.refused


def test_where_it_gives_none_at_all_calls_wait_until_it_does() -> None:
    left = [0]
    pool = Pool(lambda *_: GOOD, start=at_most(left))
    pool.begin(task())
    pool.callers.tend()
    assert pool.back.empty()

    left[0] = 1
    pool.callers.tend()

    assert pool.returned(1)[0].reply == GOOD
    assert not pool.callers.refused


def no_memory(*_: object) -> Reply:
    raise MemoryError


@pytest.mark.parametrize("act", [lambda *_: Shortage("Too many open files"), no_memory])
def test_what_the_machine_lacks_for_a_call_is_no_reply_and_no_bug(
    act: Callable[[bytes, int], Reply | Shortage],
) -> None:
    acts: list[Callable[[bytes, int], Reply | Shortage]] = [act, lambda *_: GOOD]

    def each_in_turn(body: bytes, timestamp: int) -> Reply | Shortage:
        return acts.pop(0)(body, timestamp)

    pool = Pool(each_in_turn)

    pool.begin(task())
    [back] = pool.returned(1)
    assert (back.reply, back.bug) == (None, None)
    assert back.shortage == pool.callers.shortage is not None

    pool.begin(task())
    assert pool.returned(1)[0].reply == GOOD
    assert pool.callers.shortage is None


def test_a_call_is_handed_back_although_there_is_no_memory_for_it_at_first() -> None:
    back: SimpleQueue[ApiCall] = SimpleQueue()
    short = [MemoryError(), MemoryError()]

    def done(task: ApiCall) -> None:
        if short:
            raise short.pop()
        back.put(task)

    callers = CallerPool("pool", Script(lambda *_: GOOD, lambda: None), lambda: True, done)
    callers.begin(task(), 1)

    assert back.get(timeout=DEADLINE).reply == GOOD
    callers.stop()


def test_a_call_that_is_not_begun_for_want_of_memory_is_handed_back() -> None:
    short = [MemoryError()]

    def may_call() -> bool:
        if short:
            raise short.pop()
        return True

    pool = Pool(lambda *_: GOOD, may_call)
    pool.begin(task(), in_flight=1)
    [back] = pool.returned(1)
    assert (back.reply, back.left_at) == (None, None)
    assert back.shortage is not None

    pool.begin(task(), in_flight=1)
    assert pool.returned(1)[0].reply == GOOD


def test_a_call_that_left_before_memory_was_short_says_so() -> None:
    pool = Pool(no_memory)

    pool.begin(task())

    [back] = pool.returned(1)
    assert back.shortage is not None
    assert back.left_at is not None
