"""Edits of files taken through the lanes of their accounts, to the end or to a stop."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from schemas import Bounds, Names
from worker.apply.feeder import LaneFeeder, Unaddressed
from worker.apply.results import UNSENT, UNSURE, NoReplies, Results
from worker.core.circuit import State
from worker.core.settlement import Origin
from worker.loop import Loop
from worker.pipeline.completion import Completion
from worker.pipeline.context import LaneContext
from worker.pipeline.counters import LaneCounters
from worker.pipeline.lane import Lane
from worker.pipeline.poison import CrashLedger
from worker.pipeline.settler import Settler

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from worker.account import Account
    from worker.apply.feeder import FileEdit
    from worker.core.reply import Leave, Reply, Shortage
    from worker.pipeline.callers import Caller


LOOK_EVERY = 0.25
TICK = 1.0


@dataclass(frozen=True, slots=True)
class Watcher:
    """Who is told how it goes."""

    look: Callable[[int], None]
    """Gets the number of settled edits now and then."""
    say: Callable[[str], None]
    """Gets a sentence when a lane stops or goes on."""
    patience: float | None = None
    """Seconds that an account may be suspended before it is given up; None waits for ever."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What has become of all edits."""

    applied: int
    superseded: int
    """Not sent, for a newer edit of the job that states the same fields was applied."""
    rejected: int
    unsent: int
    """Not settled; `unsure` of them were sent all the same."""
    unsure: int


class OfflineRun:
    """Builds the pipeline, runs it, and leaves nothing unsaid of any edit."""

    def __init__(
        self,
        accounts: Sequence[Account],
        caller: Callable[[Account], Caller],
        edits: Sequence[FileEdit],
        results: tuple[IO[bytes], IO[bytes]],
        watcher: Watcher,
        *,
        version: str,
    ) -> None:
        """`results`: where events and failures are written."""
        self.loop = Loop()
        names = Names()
        by_place = {edit.where: edit for edit in edits}
        self._results = Results(names, by_place, *results)
        self._watcher = watcher
        settler = Settler(self._results, NoReplies(), names.journal)
        self._suspects = CrashLedger(None)
        signed = Origin(names, version)
        shared = LaneContext(self.loop, settler, self._suspects, signed, _always, _always)
        self._feeds = {one.name: self._feed(one, caller(one), shared) for one in accounts}
        self._unaddressed = Unaddressed(
            self.loop, Completion(shared, LaneCounters()), Bounds(), self._moved
        )
        self._ticks = 0
        self._said: dict[str, State] = {}
        apps = {app: one.name for one in accounts for app in one.bounds.app_ids}
        for edit in edits:
            name = accounts[0].name if len(accounts) == 1 else apps.get(edit.app_id or "")
            feed = self._unaddressed if name is None else self._feeds[name]
            feed.add(edit)

    def run(self) -> Ended:
        """Until every edit is settled, or no more are to be."""
        try:
            for feed in self._feeds.values():
                feed.lane.open(())
                feed.fill()
            self._tick()
            self._moved()
            self.loop.run()
        finally:
            self._suspects.close()
            ended = self._ended()
        return ended

    def stop(self) -> None:
        """Send no more; what is in flight is settled still. On the loop's thread."""
        for feed in self._feeds.values():
            feed.give_up()
        self._moved()

    def _feed(self, account: Account, caller: Caller, shared: LaneContext) -> LaneFeeder:
        noted = RecordingCaller(caller)
        return LaneFeeder(Lane(account, noted, shared, hold=float("inf")), noted, self._moved)

    def _moved(self) -> None:
        """End when there is nothing more to come."""
        if self._unaddressed.waiting == 0 and all(one.is_over for one in self._feeds.values()):
            self.loop.stop()

    def _tick(self) -> None:
        self._ticks += 1
        self._watcher.look(self._results.settled)
        for name, feed in self._feeds.items():
            if self._ticks % round(TICK / LOOK_EVERY) == 0:
                feed.lane.tick()
            self._look_at(name, feed)
        self._moved()
        self.loop.call_later(LOOK_EVERY, self._tick)

    def _look_at(self, name: str, feed: LaneFeeder) -> None:
        """Say when a lane is suspended and when it goes on; give it up when it is for too long."""
        health = feed.lane.standing.health
        before = self._said.get(name, State.RUNNING)
        if health.state is State.SUSPENDED and not feed.given_up:
            if before is not State.SUSPENDED:
                self._watcher.say(f"account {name} is suspended, and tried again: {health.why}")
            patience = self._watcher.patience
            if patience is not None and self.loop.now() - health.since > patience:
                self._watcher.say(f"account {name} is given up: {health.why}")
                feed.give_up()
        elif health.state is State.RUNNING and before is State.SUSPENDED:
            self._watcher.say(f"account {name} goes on")
        self._said[name] = health.state

    def _ended(self) -> Ended:
        """Write what was not settled to the failures, and count."""
        unsure = unsent = 0
        for feed in self._feeds.values():
            for edit in feed.left():
                was_sent = feed.is_unsure(edit)
                self._results.fail(edit, UNSURE if was_sent else UNSENT)
                unsent += 1
                unsure += was_sent
            feed.lane.stop()
        results = self._results
        self._watcher.look(results.settled)
        return Ended(results.applied, results.superseded, results.rejected, unsent, unsure)


def _always() -> bool:
    """There is no broker to be heard from."""
    return True


class RecordingCaller:
    """A `worker.pipeline.callers.Caller` around another."""

    def __init__(self, caller: Caller) -> None:
        self.called: set[int] = set()
        """Jobs that were called; whoever settles an edit takes its job out."""
        self._caller = caller

    def call(
        self,
        body: bytes,
        timestamp: int,
        *,
        traceparent: str | None = None,
        leave: Leave,
    ) -> Reply | Shortage | None:
        """Note, and call."""
        self.called.add(json.loads(body)["jobId"])
        return self._caller.call(body, timestamp, traceparent=traceparent, leave=leave)
