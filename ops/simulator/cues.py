"""Cues: what to do instead of the usual, to which calls, how often and until when."""

from __future__ import annotations

import fnmatch
import random
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Literal, overload

from ops.simulator.faults.fault import Fault

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

Sort = Literal["status", "fault", "latency"]


@dataclass(frozen=True, slots=True)
class Selector:
    """Which calls are meant: all given parts have to fit. `name` is a glob (`flaky-*`).

    `share`: of the calls that fit, the part (0 to 1) that is taken, by chance.
    """

    account: str | None = None
    job: int | None = None
    name: str | None = None
    share: float = 1.0

    def fits(self, who: Who) -> bool:
        """Whether this call is meant (chance left out)."""
        return (
            (self.account is None or self.account == who.account)
            and (self.job is None or self.job == who.job)
            and (
                self.name is None
                or (who.name is not None and fnmatch.fnmatchcase(who.name, self.name))
            )
        )


@dataclass(frozen=True, slots=True)
class Who:
    """What a selector can see of a call: api key, jobId and name as far as they were given."""

    account: str | None
    job: int | None
    name: str | None


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
_SORTS: dict[type, Sort] = {Status: "status", Fault: "fault", Latency: "latency"}


@dataclass(slots=True)
class Cue:
    """An effect for the calls of a selector; `left` uses and `until` (epoch), None for no end.

    `state`: it stands for a state of an account, and goes when the account runs again.
    """

    number: int
    selector: Selector
    effect: Effect
    left: int | None
    until: float | None
    state: bool = False

    def is_over(self, now: float) -> bool:
        """Used up, or its time is over."""
        return (self.left is not None and self.left <= 0) or (
            self.until is not None and now >= self.until
        )

    def buries(self, other: Cue) -> bool:
        """Whether the older cue can never be reached again: this one fits always and for good."""
        endless = self.left is None and self.until is None and self.selector.share >= 1
        return endless and (other.selector, other.state) == (self.selector, self.state)


@dataclass(slots=True)
class Cues:
    """All cues given and not used up; the latest that fits wins, one for each sort of effect."""

    chance: random.Random = field(default_factory=random.Random)
    _numbers: count[int] = field(default_factory=lambda: count(1))
    # By sort and job, since thousands of jobs may have a cue of their own.
    _places: dict[tuple[Sort, int | None], list[Cue]] = field(default_factory=dict)

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
        place = self._places.setdefault((_SORTS[type(effect)], selector.job), [])
        place[:] = [*(older for older in place if not cue.buries(older)), cue]
        return cue.number

    @overload
    def take(self, sort: Literal["status"], who: Who, now: float) -> Status | None: ...
    @overload
    def take(self, sort: Literal["fault"], who: Who, now: float) -> Fault | None: ...
    @overload
    def take(self, sort: Literal["latency"], who: Who, now: float) -> Latency | None: ...
    def take(self, sort: Sort, who: Who, now: float) -> Effect | None:
        """The effect of this sort for a call, used once; None when no cue fits."""
        best = self._latest((sort, None), who, now)
        if who.job is not None:
            own = self._latest((sort, who.job), who, now)
            if own is not None and (best is None or own.number > best.number):
                best = own
        if best is None:
            return None
        if best.left is not None:
            best.left -= 1
        return best.effect

    def _latest(self, place: tuple[Sort, int | None], who: Who, now: float) -> Cue | None:
        cues = self._places.get(place)
        if not cues:
            return None
        if any(cue.is_over(now) for cue in cues):
            cues[:] = [cue for cue in cues if not cue.is_over(now)]
        for cue in reversed(cues):
            share = cue.selector.share
            if cue.selector.fits(who) and (share >= 1 or self.chance.random() < share):
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
        self._places.clear()

    def alive(self, now: float) -> list[Cue]:
        """Those still in force, oldest first."""
        cues = [cue for place in self._places.values() for cue in place if not cue.is_over(now)]
        return sorted(cues, key=lambda cue: cue.number)

    def _keep(self, wanted: Callable[[Cue], bool]) -> int:
        dropped = 0
        for place, cues in list(self._places.items()):
            kept = [cue for cue in cues if wanted(cue)]
            dropped += len(cues) - len(kept)
            if kept:
                self._places[place] = kept
            else:
                del self._places[place]
        return dropped
