"""What has been settled lately, so that a repeat is answered and not called again."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic_core import from_json

from schemas import Reason, names

if TYPE_CHECKING:
    from worker.core.identity import Identity, Place
    from worker.core.message import Publication

WHOLE_AT_MOST = 10_000
"""Events kept as they were published; of older ones the outcome is kept."""
SECONDS_AT_LEAST = 3600.0
SECONDS_AT_MOST = 6 * 3600.0
KNOWN_AT_MOST = 1_000_000
"""Outcomes kept beyond `SECONDS_AT_LEAST`: some 100 bytes each."""
SPAN = 1200.0
"""Seconds: outcomes are forgotten by the span."""
JOBS_AT_MOST = 100_000
BODIES_AT_MOST = 10_000
APPS_AT_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Known:
    """A message was settled, and this is all that is remembered of it."""

    reason: Reason | None
    """None: it was not rejected."""
    superseded: bool = False


@dataclass(frozen=True, slots=True)
class _Span:
    begun: float
    outcomes: dict[int, Known] = field(default_factory=dict)


@dataclass(slots=True)
class RecentOutcomes:
    """The outcomes of an hour at least, of all accounts, and each job's newest applied edit.

    The hour counts from when this process settled it, or read it in the journal: no clock of
    another machine has a say. `now` is one monotonic clock in seconds throughout.
    """

    room: int = KNOWN_AT_MOST
    """Outcomes kept beyond the hour."""
    _whole: OrderedDict[str, Publication] = field(default_factory=OrderedDict)
    _spans: deque[_Span] = field(default_factory=deque)
    _newest: OrderedDict[tuple[str | None, int], tuple[Place, str | None]] = field(
        default_factory=OrderedDict
    )
    _bodies: OrderedDict[tuple[str, str], bytes] = field(default_factory=OrderedDict)
    _accounts: OrderedDict[str, frozenset[str]] = field(default_factory=OrderedDict)
    """AppId to the accounts that have settled edits of it: several where it has moved."""
    _outcomes: dict[str, None] = field(default_factory=dict)
    """Those that any event has told of: each costs a hash an edit to look for."""

    def keep(self, event: Publication, now: float) -> None:
        """Remember an event that settled a message: our own, or one of the journal."""
        event_id = event.properties.message_id or ""
        key = _key(event_id)
        if key is None:
            return
        self._whole[event_id] = event
        self._whole.move_to_end(event_id)
        if len(self._whole) > WHOLE_AT_MOST:
            self._whole.popitem(last=False)
        if not self._spans or now - self._spans[-1].begun >= SPAN:
            self._spans.append(_Span(now))
            self._forget(now)
        outcome, known = _ending(event)
        self._spans[-1].outcomes[key] = known
        self._outcomes[outcome] = None

    def find(self, identity: Identity, now: float) -> Publication | Known | None:
        """The event that settled this very message before, or at least how it ended."""
        if not self._spans:
            return None
        self._forget(now)
        for outcome in self._outcomes:
            event_id = identity.event_id(outcome)
            key = _key(event_id)
            for span in reversed(self._spans):
                if key in span.outcomes:
                    return self._whole.get(event_id) or span.outcomes[key]
        return None

    def settled(self, app_id: str, account: str) -> None:
        """Remember that an edit of an app was settled for an account."""
        known = self._accounts.pop(app_id, frozenset())
        self._accounts[app_id] = known if account in known else known | {account}
        if len(self._accounts) > APPS_AT_MOST:
            self._accounts.popitem(last=False)

    def accounts(self, app_id: str | None) -> frozenset[str]:
        """The accounts that have settled edits of an app, as far as it is known."""
        return self._accounts.get(app_id or "", frozenset())

    def applied(self, account: str | None, job: int, place: Place, message_id: str | None) -> None:
        """Remember that an edit of the job was applied."""
        key = account, job
        known = self._newest.pop(key, None)
        self._newest[key] = known if known and known[0] > place else (place, message_id)
        if len(self._newest) > JOBS_AT_MOST:
            self._newest.popitem(last=False)

    def newer(self, account: str | None, job: int, place: Place) -> tuple[Place, str | None] | None:
        """Place and message id of a newer edit of the job that was applied, if one is known."""
        known = self._newest.get((account, job))
        return known if known and known[0] > place else None

    def conflicts(self, identity: Identity) -> bool:
        """Whether the same message id was seen last with another body; remembers this one."""
        key = (identity.account, identity.message_id)
        before = self._bodies.pop(key, identity.digest)
        self._bodies[key] = identity.digest
        if len(self._bodies) > BODIES_AT_MOST:
            self._bodies.popitem(last=False)
        return before != identity.digest

    def __len__(self) -> int:
        return sum(len(span.outcomes) for span in self._spans)

    def _forget(self, now: float) -> None:
        """Forget the oldest span once all of it is old: sooner if there is much."""
        while self._spans:
            over = now - self._spans[0].begun - SPAN
            if over <= SECONDS_AT_LEAST or (over <= SECONDS_AT_MOST and len(self) <= self.room):
                return
            self._spans.popleft()


_APPLIED, _SUPERSEDED = Known(None), Known(None, superseded=True)
_REJECTED = {reason: Known(reason) for reason in (None, *Reason)}
_REASONS = {reason.value: reason for reason in Reason}


def _key(event_id: str) -> int | None:
    """80 of an event id's random bits; None for what is no UUID, and so not ours."""
    try:
        return int(event_id[:8] + event_id[24:], 16)
    except ValueError:
        return None


def _ending(event: Publication) -> tuple[str, Known]:
    """How the event's message ended, in the contract's word and as it is remembered."""
    if event.properties.type == names.SUPERSEDED_EVENT_TYPE:
        return "superseded", _SUPERSEDED
    if event.properties.type != names.REJECTED_EVENT_TYPE:
        return "applied", _APPLIED
    try:
        said = from_json(event.body)["data"]["reason"]
    except (ValueError, KeyError, TypeError):
        said = None
    return "rejected", _REJECTED[_REASONS.get(said) if isinstance(said, str) else None]
