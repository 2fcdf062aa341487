"""The provider: takes a call, decides what becomes of it, and remembers both.

Knows no sockets and no clock; moments come in, epoch seconds of one clock.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from ops.simulator import faults, reply, rules, sign
from ops.simulator.account import Account, Settings
from ops.simulator.cues import Cues, Latency, Status
from ops.simulator.faults import Fault
from ops.simulator.record import APPLIED, OVERLAP, THROTTLED, TRAILING, Arrival, Record
from ops.simulator.reply import Reply
from ops.simulator.summary import Tally
from ops.simulator.window import SlidingWindow

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(slots=True)
class Underway:
    """A call that has arrived and is not answered yet.

    `latency` in seconds until the answer is made; then the caller gets `due`, or
    what `fault` makes of it. `abandoned`: the caller has left meanwhile.
    """

    number: int
    job: tuple[str, int] | None
    account: str
    due: Reply
    api: str | None
    fault: Fault | None
    latency: float
    applies: bool
    name: str | None
    abandoned: bool = False

    def steps(self, now: float) -> Iterator[faults.Step]:
        """What the fault makes of the reply; `now` is the provider's epoch."""
        if self.fault is None:
            raise AssertionError("a call without fault is answered whole")
        return faults.steps(self.fault, self.due, now)


@dataclass(slots=True)
class Provider:
    """Everything that the simulator holds."""

    settings: Settings = field(default_factory=Settings)
    accounts: dict[str, Account] = field(default_factory=dict)
    cues: Cues = field(default_factory=Cues)
    record: Record = field(default_factory=Record)
    tallies: dict[str, Tally] = field(default_factory=dict)
    _secrets: dict[str, str] = field(default_factory=dict)
    _windows: dict[str, SlidingWindow] = field(default_factory=dict)
    _underway: dict[tuple[str, int], list[Underway]] = field(default_factory=dict)
    _owners: dict[tuple[str, str], int] = field(default_factory=dict)

    def open(self, account: Account) -> None:
        """Take an account in, or put it in the place of the one with its key."""
        known = self.accounts.get(account.key)
        self.accounts[account.key] = account
        self._secrets[account.key] = account.secret
        if known is None or known.limits != account.limits:
            self._windows[account.key] = SlidingWindow(account.limits)

    def clock(self, now: float) -> float:
        """The provider's own time at `now`."""
        return now + self.settings.clock_offset.total_seconds()

    def arrive(
        self, headers: Mapping[str, str], body: bytes, now: float, connection: int
    ) -> Underway:
        """Take a call whose last byte has just come; `headers` by lower-case name."""
        edit = _decoded(body)
        job, name, app_id = _job(edit), _text(edit, "name"), _text(edit, "appId")
        key = headers.get("api-key") or None
        account = key or "-"
        window = self._windows.get(account)
        throttled = window is not None and not window.admit(now)
        place = None if job is None else (account, job)
        flags = self._flags(place) | (THROTTLED if throttled else 0)
        digest = hashlib.sha256(body).digest()
        number = self.record.begin(Arrival(now, connection, key, app_id, job, name, digest), flags)
        self._tally(account).arrived(now, flags)
        call = self._decided(
            Underway(number, place, account, _NOTHING, None, None, 0.0, applies=False, name=name),
            headers,
            edit,
            now,
            throttled=throttled,
        )
        if place is not None:
            self._underway.setdefault(place, []).append(call)
        return call

    def abandon(self, call: Underway) -> None:
        """The caller has left before its answer."""
        call.abandoned = True
        self.record.abandon(call.number)

    def finish(self, call: Underway, now: float) -> None:
        """The answer is out, or was given up: the call is not under way any more."""
        if call.job is not None:
            others = self._underway[call.job]
            others.remove(call)
            if not others:
                del self._underway[call.job]
        applied = call.applies
        if applied and call.job is not None and call.name is not None:
            self._owners[call.account, call.name] = call.job[1]
        fault = call.fault
        http = call.due.code if fault is None else faults.code(fault, call.due)
        flags = APPLIED if applied else 0
        self.record.end(
            call.number,
            now,
            http=http,
            api=call.api,
            fault=None if fault is None else fault.kind,
            flags=flags,
        )
        self._tally(call.account).ended(http, call.api, flags, abandoned=call.abandoned)

    def forget(self) -> int:
        """Empty the record and its sums; how many calls were in it."""
        self.tallies.clear()
        return self.record.forget()

    def _tally(self, account: str) -> Tally:
        known = self.tallies.get(account)
        if known is None:
            known = self.tallies[account] = Tally()
        return known

    def _flags(self, place: tuple[str, int] | None) -> int:
        flags = 0
        for other in self._underway.get(place, ()) if place else ():
            flags |= TRAILING if other.abandoned else OVERLAP
        return flags

    def _decided(
        self,
        call: Underway,
        headers: Mapping[str, str],
        edit: object,
        now: float,
        *,
        throttled: bool,
    ) -> Underway:
        if throttled:
            call.due = self._throttled(self.accounts[call.account], now)
            return call
        job = call.job[1] if call.job else _job(edit)
        chosen = (headers.get("api-key"), job, call.name, now)
        latency = cast("Latency | None", self.cues.take(Latency, *chosen))
        call.latency = latency.draw(self.cues.chance) if latency else 0.0
        call.fault = cast("Fault | None", self.cues.take(Fault, *chosen))
        if call.fault is not None and call.fault.kind in faults.UNDONE:
            call.latency = 0.0 if call.fault.kind in faults.AT_ONCE else call.latency
            call.due = reply.answer("0", job, numeric=self.settings.numeric_status)
            return call
        status = self._status(headers, edit, call, now)
        call.api, call.applies = status, status == "0"
        call.due = reply.answer(status, job, numeric=self.settings.numeric_status)
        return call

    def _status(self, headers: Mapping[str, str], edit: object, call: Underway, now: float) -> str:
        refused = sign.refusal(
            headers, self._secrets, now=self.clock(now), window=self.settings.timestamp_window
        )
        if refused is not None:
            return refused
        job = call.job[1] if call.job else None
        asked = cast("Status | None", self.cues.take(Status, call.account, job, call.name, now))
        if asked is not None:
            return asked.status
        account, settings = self.accounts[call.account], self.settings
        refused = rules.refusal(edit, account, demand_redial=settings.demand_redial)
        if refused is not None:
            return refused
        owner = self._owners.get((call.account, call.name or ""))
        return "-33" if settings.unique_names and owner not in {None, job} else "0"

    def _throttled(self, account: Account, now: float) -> Reply:
        refused = Reply(429, b'{"status": 429, "error": "Too Many Requests"}')
        if account.retry_after is None:
            return refused
        after = reply.retry_after(account.retry_after, self.clock(now))
        return Reply(429, refused.body, (*refused.headers, ("Retry-After", after)))


_NOTHING = Reply(500)


def _decoded(body: bytes) -> Any:  # noqa: ANN401 - whatever JSON the caller sent
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _job(edit: object) -> int | None:
    job = edit.get("jobId") if isinstance(edit, dict) else None
    return job if type(job) is int and 1 <= job <= rules.LONG_MAX else None


def _text(edit: object, field_name: str) -> str | None:
    text = edit.get(field_name) if isinstance(edit, dict) else None
    return text if isinstance(text, str) else None
