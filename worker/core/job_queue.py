"""The edits that a lane holds: first come first served, one at a time for each job."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from worker.core.decode import Edit
    from worker.core.identity import Place
    from worker.core.message import Delivery, Source
    from worker.core.tracing import Trace
    from worker.core.verdict import Rejected


@dataclass(slots=True, eq=False)
class HeldEdit:
    """An edit held unacked, with what the lane has learned of it. The lane's alone."""

    delivery: Delivery
    source: Source
    edit: Edit
    number: int
    """Its place in the queue's order, as far as this holder has seen it."""
    held_since: float
    """When it was delivered, in monotonic seconds."""
    attempts: int = 0
    """Calls that counted, all of them failed."""
    due: float = 0.0
    """Not to be called before (monotonic seconds)."""
    failures: int = 0
    """Calls that failed while others were answered, whether they counted or not."""
    failed_at: int | None = None
    """How many calls the lane had begun when this edit first failed as `failed_with` says."""
    failed_with: str | None = None
    """The status that refused it; None: it had no answer."""
    clock_corrected: bool = False
    place: Place | None = None
    """Where it stands in the lane's order; None while there is no journal."""
    alone: bool = False
    """Suspected of ending the process: called while nothing else is."""
    let_others_first: bool = False
    """Has waited already for others to be called before it, as a suspect does now and then."""
    trace: Trace | None = None
    """None while tracing is off."""
    to: str | None = None
    """The account whose lane it is handed on to, for its appId is that one's; else None."""
    fields: frozenset[str] | None = None
    """The fields that it states; None: it takes no part in coalescing."""
    is_repeat: bool = False
    """The same message was settled before it came, or is before it in its job's line."""
    rejected: Rejected | None = None
    """It was called before older ones of its job, and ends so when its turn comes."""

    @property
    def never_called(self) -> bool:
        """Whether it ends, in its turn, without another call."""
        return self.is_repeat or self.rejected is not None


@dataclass(slots=True)
class JobQueue:
    """What has been delivered and not settled, in queue order within each job.

    The first edit of a job may be taken; until it is removed, nothing later of that job can be.
    """

    _jobs: dict[int, deque[HeldEdit]] = field(default_factory=dict)
    _ready: list[tuple[int, HeldEdit]] = field(default_factory=list)
    _later: list[tuple[float, int, HeldEdit]] = field(default_factory=list)
    _busy: set[int] = field(default_factory=set)
    _size: int = 0

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[HeldEdit]:
        for waiting in self._jobs.values():
            yield from waiting

    def add(self, waiting: HeldEdit) -> None:
        """Queue an edit behind what is known of its job."""
        job = waiting.edit.job
        line = self._jobs.get(job)
        self._size += 1
        if line is None:
            self._jobs[job] = deque((waiting,))
            if job not in self._busy:
                heappush(self._ready, (waiting.number, waiting))
        else:
            waiting.is_repeat = waiting.is_repeat or _is_in(line, waiting)
            line.append(waiting)

    def line(self, job: int) -> Collection[HeldEdit]:
        """The edits held of a job, oldest first, those being called or settled included."""
        return self._jobs.get(job, ())

    def take(self, now: float) -> HeldEdit | None:
        """The oldest edit that may be called now; its job is busy until `remove` or `put_back`."""
        while self._later and self._later[0][0] <= now:
            due, number, waiting = heappop(self._later)
            if self._is_first(waiting) and waiting.due == due:
                heappush(self._ready, (number, waiting))
        while self._ready:
            _, waiting = heappop(self._ready)
            if self._is_first(waiting) and waiting.due <= now:
                self._busy.add(waiting.edit.job)
                return waiting
        return None

    def claim(self, waiting: HeldEdit) -> bool:
        """Take this very edit, due or not, if it is the first of its job; else False."""
        if not self._is_first(waiting):
            return False
        self._busy.add(waiting.edit.job)
        return True

    def take_probe(self, probed: frozenset[int]) -> HeldEdit | None:
        """The oldest first-of-its-job whose job is not in `probed`, due or not; for probing."""
        firsts = (line[0] for job, line in self._jobs.items() if job not in self._busy | probed)
        oldest = min(firsts, key=lambda waiting: waiting.number, default=None)
        if oldest is not None:
            self._busy.add(oldest.edit.job)
        return oldest

    def can_take(self, now: float, *, to_probe: bool) -> bool:
        """Whether `take`, or else `take_probe` of some job, would give an edit."""
        if to_probe:
            return any(job not in self._busy for job in self._jobs)
        waiting = self.take(now)
        if waiting is None:
            return False
        self._busy.discard(waiting.edit.job)
        self._offer(waiting.edit.job)
        return True

    def next_due(self) -> float | None:
        """When the next edit that waits for its time may be taken; None if none does."""
        while self._later:
            due, _, waiting = self._later[0]
            if self._is_first(waiting) and waiting.due == due:
                return due
            heappop(self._later)
        return None

    def put_back(self, waiting: HeldEdit, due: float) -> None:
        """A taken edit waits again, still the first of its job, until `due`."""
        self._busy.discard(waiting.edit.job)
        waiting.due = due
        if self._is_first(waiting):
            heappush(self._later, (due, waiting.number, waiting))
        else:
            self._offer(waiting.edit.job)

    def remove(self, waiting: HeldEdit) -> None:
        """A taken edit is settled: the next of its job may be taken."""
        self._busy.discard(waiting.edit.job)
        self._drop(waiting)
        self._offer(waiting.edit.job)

    def pass_over(self, waiting: HeldEdit) -> None:
        """The oldest of a taken job is settled, and the job is not done with: it stays taken."""
        self._busy.discard(waiting.edit.job)
        self._drop(waiting)
        self._busy.add(waiting.edit.job)

    def _drop(self, waiting: HeldEdit) -> None:
        if self._is_first(waiting):
            line = self._jobs[waiting.edit.job]
            line.popleft()
            self._size -= 1
            if not line:
                del self._jobs[waiting.edit.job]

    def clear(self) -> None:
        """Forget what waits, for it went back to the queue; jobs being called stay busy."""
        self._jobs.clear()
        self._ready.clear()
        self._later.clear()
        self._size = 0

    @property
    def busy(self) -> int:
        """How many jobs have an edit taken and not yet settled or put back."""
        return len(self._busy)

    @property
    def ready(self) -> int:
        """How many edits need neither time nor another edit of their job: only a turn."""
        return len(self._ready)

    def oldest(self) -> float | None:
        """Since when the longest held edit is held, in monotonic seconds."""
        return min((line[0].held_since for line in self._jobs.values()), default=None)

    def _is_first(self, waiting: HeldEdit) -> bool:
        line = self._jobs.get(waiting.edit.job)
        return line is not None and line[0] is waiting and waiting.edit.job not in self._busy

    def _offer(self, job: int) -> None:
        line = self._jobs.get(job)
        if line is not None and job not in self._busy:
            heappush(self._ready, (line[0].number, line[0]))


def _is_in(line: Iterable[HeldEdit], waiting: HeldEdit) -> bool:
    """Whether an edit that takes part in coalescing is one of the line's once more."""
    if waiting.fields is None:
        return False
    identity = waiting.edit.head.identity
    return identity is not None and any(held.edit.head.identity == identity for held in line)
