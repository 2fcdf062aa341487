"""Cues: what to do instead of the usual, to which calls, how often and until when."""

from __future__ import annotations

import fnmatch
import random
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from ops.simulator.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Selector:
    """Which calls are meant: all given parts have to fit. `name` is a glob (`flaky-*`).

    `share`: of the calls that fit, the part (0 to 1) that is taken, by chance.
    """

    account: str | None = None
    job: int | None = None
    name: str | None = None
    share: float = 1.0

    def fits(self, account: str | None, job: int | None, name: str | None) -> bool:
        """Whether a call with these is meant (chance left out)."""
        return (
            (self.account is None or self.account == account)
            and (self.job is None or self.job == job)
            and (self.name is None or (name is not None and fnmatch.fnmatchcase(name, self.name)))
        )


@dataclass(frozen=True, slots=True)
class Status:
    """Answer with this API status."""

    status: str


@dataclass(frozen=True, slots=True)
class Latency:
    """Take this long: `fixed`, plus uniform from 0 to `jitter`, or exponential with that mean."""

    fixed: timedelta
    jitter: timedelta
    exponential: bool = False

    def draw(self, chance: random.Random) -> float:
        """Seconds for one call."""
        fixed, jitter = self.fixed.total_seconds(), self.jitter.total_seconds()
        if not jitter:
            return fixed
        return fixed + (
            chance.expovariate(1 / jitter) if self.exponential else chance.random() * jitter
        )


Effect = Status | Fault | Latency


@dataclass(slots=True)
class Cue:
    """An effect for the calls of a selector; `left` uses and `until` (epoch), None for no end."""

    number: int
    selector: Selector
    effect: Effect
    left: int | None
    until: float | None
    state: bool = False


@dataclass(slots=True)
class Cues:
    """All cues given and not used up; the latest that fits wins, one for each sort of effect."""

    chance: random.Random = field(default_factory=random.Random)
    _numbers: count[int] = field(default_factory=lambda: count(1))
    _by_job: dict[tuple[type, int | None], list[Cue]] = field(default_factory=dict)

    def add(
        self,
        selector: Selector,
        effect: Effect,
        *,
        times: int | None = None,
        until: float | None = None,
        state: bool = False,
    ) -> int:
        """Take a cue in, for the next `times` calls and up to `until` (epoch); its number."""
        cue = Cue(next(self._numbers), selector, effect, times, until, state)
        self._by_job.setdefault((type(effect), selector.job), []).append(cue)
        return cue.number

    def take(
        self, sort: type, account: str | None, job: int | None, name: str | None, now: float
    ) -> Effect | None:
        """The effect of this sort for a call, used once; None when no cue fits."""
        best: Cue | None = None
        for place in {job, None}:
            found = self._latest((sort, place), account, job, name, now)
            if found is not None and (best is None or found.number > best.number):
                best = found
        if best is None:
            return None
        if best.left is not None:
            best.left -= 1
        return best.effect

    def _latest(
        self,
        place: tuple[type, int | None],
        account: str | None,
        job: int | None,
        name: str | None,
        now: float,
    ) -> Cue | None:
        cues = self._by_job.get(place)
        if not cues:
            return None
        if any(_is_over(cue, now) for cue in cues):
            cues[:] = [cue for cue in cues if not _is_over(cue, now)]
        for cue in reversed(cues):
            selector = cue.selector
            if selector.fits(account, job, name) and (
                selector.share >= 1 or self.chance.random() < selector.share
            ):
                return cue
        return None

    def drop(self, number: int) -> bool:
        """Forget one cue; whether it was there."""
        return self._keep(lambda cue: cue.number != number) > 0

    def drop_states(self, account: str | None) -> int:
        """Forget the states of one account (None: those given to all accounts); how many."""
        return self._keep(lambda cue: not (cue.state and cue.selector.account == account))

    def clear(self) -> None:
        """Forget all."""
        self._by_job.clear()

    def alive(self, now: float) -> list[Cue]:
        """Those still in force, oldest first."""
        cues = [cue for cues in self._by_job.values() for cue in cues if not _is_over(cue, now)]
        return sorted(cues, key=lambda cue: cue.number)

    def _keep(self, wanted: Callable[[Cue], bool]) -> int:
        before = sum(map(len, self._by_job.values()))
        for place, cues in list(self._by_job.items()):
            self._by_job[place] = [cue for cue in cues if wanted(cue)]
        return before - sum(map(len, self._by_job.values()))


def _is_over(cue: Cue, now: float) -> bool:
    return (cue.left is not None and cue.left <= 0) or (cue.until is not None and now >= cue.until)
