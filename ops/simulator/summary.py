"""Sums over the record: what an account was sent, and how much of its limit it used."""

from __future__ import annotations

import json
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ops.simulator.record import ABANDONED, APPLIED, OVERLAP, THROTTLED, TRAILING

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    from ops.simulator.account import Account
    from ops.simulator.record import Record

_SECOND = 1.0
_ROWS_A_TURN = 500


@dataclass(slots=True)
class Peak:
    """The most moments that any half-open second held; moments come in order."""

    most: int = 0
    _recent: deque[float] = field(default_factory=deque)

    def add(self, moment: float) -> None:
        """Take one more moment in (seconds)."""
        recent = self._recent
        recent.append(moment)
        while recent[0] <= moment - _SECOND:
            recent.popleft()
        self.most = max(self.most, len(recent))


@dataclass(slots=True)
class Tally:
    """Counts of one account's calls."""

    calls: int = 0
    throttled: int = 0
    applied: int = 0
    overlaps: int = 0
    trailing: int = 0
    abandoned: int = 0
    first: float | None = None
    last: float | None = None
    statuses: Counter[str] = field(default_factory=Counter)
    peak: Peak = field(default_factory=Peak)
    peak_admitted: Peak = field(default_factory=Peak)

    def arrived(self, moment: float, flags: int) -> None:
        """Count a call at its arrival (epoch seconds)."""
        self.calls += 1
        self.peak.add(moment)
        if self.first is None:
            self.first = moment
        self.last = moment
        if flags & THROTTLED:
            self.throttled += 1
        else:
            self.peak_admitted.add(moment)
        if flags & OVERLAP:
            self.overlaps += 1
        if flags & TRAILING:
            self.trailing += 1

    def ended(self, http: int, api: str | None, flags: int, *, abandoned: bool) -> None:
        """Count its answer: by API status, or `http:503`, or `none`."""
        if flags & APPLIED:
            self.applied += 1
        if abandoned:
            self.abandoned += 1
        self.statuses[api or (f"http:{http}" if http else "none")] += 1


def tallies(
    record: Record, since: float | None, until: float | None
) -> Generator[None, None, dict[str, Tally]]:
    """Tallies by account of the calls that arrived in [since, until), epoch seconds.

    Yields now and then, so that a long record can be summed in turns; returns the sums.
    """
    found: dict[str, Tally] = {}
    row = 0 if since is None else record.row_at(since)
    last = len(record) if until is None else record.row_at(until)
    while row < min(last, len(record)):
        account, arrived, flags, http, api = record.glance(row)
        tally = found.setdefault(account or "-", Tally())
        tally.arrived(arrived, flags)
        if record.is_answered(row):
            tally.ended(http, api, flags, abandoned=bool(flags & ABANDONED))
        row += 1
        if row % _ROWS_A_TURN == 0:
            yield
    return found


def shown(
    tally: Tally, account: Account | None, since: float | None, until: float | None
) -> dict[str, Any]:
    """A tally as JSON, the fields of `control.Summary`."""
    return {
        "calls": tally.calls,
        "applied": tally.applied,
        "throttled": tally.throttled,
        "overlaps": tally.overlaps,
        "trailing": tally.trailing,
        "abandoned": tally.abandoned,
        "peak": tally.peak.most,
        "peak_admitted": tally.peak_admitted.most,
        "first": tally.first,
        "last": tally.last,
        "used": used(tally, account, since, until),
        "statuses": dict(tally.statuses),
    }


def used(
    tally: Tally, account: Account | None, since: float | None, until: float | None
) -> float | None:
    """The share of the account's tightest limit that its admitted calls used.

    Over [since, until) where both are given; else from the first call to the last,
    in which the first is a fence post and not counted. None without a limit or a span.
    """
    if account is None or not account.limits or tally.first is None or tally.last is None:
        return None
    admitted = tally.calls - tally.throttled
    if since is not None and until is not None:
        span = until - since
    else:
        span, admitted = tally.last - tally.first, admitted - 1
    if span <= 0:
        return None
    return admitted / span / min(limit.per_second for limit in account.limits)


def lines(
    found: Mapping[str, Tally],
    accounts: Mapping[str, Account],
    since: float | None = None,
    until: float | None = None,
) -> Iterator[str]:
    """Tallies as the members of a JSON object, one an account; the span is that of `tallies`."""
    for key, tally in sorted(found.items()):
        fields = shown(tally, accounts.get(key), since, until)
        yield f"{json.dumps(key)}: {json.dumps(fields)}"
