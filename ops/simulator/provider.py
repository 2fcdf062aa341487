"""The provider: takes a call, decides what becomes of it, and remembers both.

Knows no sockets and no clock; moments come in, epoch seconds of one clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ops.simulator import edit as edits
from ops.simulator import reply, rules, sign
from ops.simulator.account import Account, Settings
from ops.simulator.cues import Cues, Who
from ops.simulator.faults import table
from ops.simulator.record import APPLIED, OVERLAP, THROTTLED, TRAILING, Arrival, Record
from ops.simulator.reply import Reply
from ops.simulator.summary import Tally
from ops.simulator.window import SlidingWindow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ops.simulator.edit import Edit
    from ops.simulator.faults.fault import Fault


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to a call: `due` after `latency` seconds, or what `fault` makes of it.

    `api`: the API status in it, None where there is none. Status 0 applies the edit.
    """

    due: Reply
    api: str | None = None
    fault: Fault | None = None
    latency: float = 0.0


@dataclass(slots=True, eq=False)
class Underway:
    """A call that has arrived and is not answered yet; `abandoned`: its caller has left."""

    number: int
    account: str
    edit: Edit
    decision: Decision
    abandoned: bool = False

    @property
    def place(self) -> tuple[str, int] | None:
        """Which job it is of; None where the body names none."""
        return None if self.edit.job is None else (self.account, self.edit.job)


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
        edit = edits.read(body)
        key = headers.get("api-key") or None
        window = self._windows.get(key) if key else None
        throttled = window is not None and not window.admit(now)
        if throttled and key:
            decision = Decision(self._too_many(self.accounts[key], now))
        else:
            decision = self._decide(headers, edit, Who(key, edit.job, edit.name), now)
        call = Underway(0, key or "-", edit, decision)
        flags = self._company(call) | (THROTTLED if throttled else 0)
        arrival = Arrival(now, connection, key, edit.app_id, edit.job, edit.name, edit.digest)
        call.number = self.record.begin(arrival, flags)
        self._tally(call).arrived(now, flags)
        if call.place is not None:
            self._underway.setdefault(call.place, []).append(call)
        return call

    def abandon(self, call: Underway) -> None:
        """The caller has left before its answer; the provider works on."""
        call.abandoned = True
        self.record.abandon(call.number)

    def finish(self, call: Underway, now: float) -> None:
        """The answer is out, or was given up: the call is not under way any more."""
        if call.place is not None:
            others = self._underway[call.place]
            others.remove(call)
            if not others:
                del self._underway[call.place]
        decision, fault = call.decision, call.decision.fault
        applied = decision.api == "0"
        if applied and call.edit.job is not None and call.edit.name is not None:
            self._owners[call.account, call.edit.name] = call.edit.job
        if not self.record.holds(call.number):
            return  # forgotten in the meantime
        http = decision.due.code if fault is None else table.seen(fault, decision.due)
        flags = APPLIED if applied else 0
        kind = None if fault is None else fault.kind
        self.record.end(call.number, now, http=http, api=decision.api, fault=kind, flags=flags)
        self._tally(call).ended(http, decision.api, flags, abandoned=call.abandoned)

    def forget(self) -> int:
        """Empty the record and its sums; how many calls were in it."""
        self.tallies.clear()
        return self.record.forget()

    def _tally(self, call: Underway) -> Tally:
        known = self.tallies.get(call.account)
        if known is None:
            known = self.tallies[call.account] = Tally()
        return known

    def _company(self, call: Underway) -> int:
        flags = 0
        for other in self._underway.get(call.place, ()) if call.place else ():
            flags |= TRAILING if other.abandoned else OVERLAP
        return flags

    def _decide(self, headers: Mapping[str, str], edit: Edit, who: Who, now: float) -> Decision:
        numeric = self.settings.numeric_status
        pace = self.cues.take("latency", who, now)
        latency = 0.0 if pace is None else pace.draw(self.cues.chance)
        fault = self.cues.take("fault", who, now)
        if fault is not None and fault.kind in table.REPLACED:
            if fault.kind == "drop_after_reading":
                latency = 0.0
            return Decision(reply.answer("0", edit.job, numeric=numeric), None, fault, latency)
        status = self._status(headers, edit, who, now)
        return Decision(reply.answer(status, edit.job, numeric=numeric), status, fault, latency)

    def _status(self, headers: Mapping[str, str], edit: Edit, who: Who, now: float) -> str:
        """The API status: of the signature, else as asked for, else by the rules."""
        settings = self.settings
        refused = sign.refusal(
            headers, self._secrets, now=self.clock(now), window=settings.timestamp_window
        )
        if refused is not None or who.account is None:
            return refused or "-59"
        asked = self.cues.take("status", who, now)
        if asked is not None:
            return asked.status
        account = self.accounts[who.account]
        refused = rules.refusal(edit.fields, account, demand_redial=settings.demand_redial)
        if refused is not None:
            return refused
        owner = self._owners.get((who.account, edit.name or ""))
        return "-33" if settings.unique_names and owner not in {None, edit.job} else "0"

    def _too_many(self, account: Account, now: float) -> Reply:
        refused = reply.spring_error(429, "/aivoice/taskEdit", self.clock(now))
        if account.retry_after is None:
            return refused
        after = reply.retry_after(account.retry_after, self.clock(now))
        return Reply(429, refused.body, (*refused.headers, ("Retry-After", after)))
