"""A redrive in growing steps: a few letters first, and more only while they are applied."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pydantic import ValidationError

from schemas import read_event
from worker.core.identity import NO_ACCOUNT

if TYPE_CHECKING:
    from worker.core.identity import Identity


GROWTH = 2


@dataclass(frozen=True, slots=True)
class Step:
    """So many letters sent together, and what has become of them."""

    size: int
    stop_at: float
    """The share of letters of a step, 0 to 1, that may not fail."""
    applied: int = 0
    failed: int = 0
    """Rejected, or not taken by any queue."""

    @property
    def is_bad(self) -> bool:
        """Whether too many have failed to go on."""
        return self.failed > 0 and self.failed >= self.stop_at * self.size

    def heard(self, *, applied: bool) -> Step:
        """After one more outcome."""
        if applied:
            return replace(self, applied=self.applied + 1)
        return replace(self, failed=self.failed + 1)

    def next(self) -> Step:
        """The step after this one: twice as many."""
        return Step(self.size * GROWTH, self.stop_at)

    def of(self, left: int) -> Step:
        """The same with no more letters than there are."""
        return replace(self, size=min(self.size, left))


@dataclass(slots=True)
class Awaited:
    """Messages whose events are waited for, known by the ids that the events will have.

    The account of some is only known by their event.
    """

    _by_message: dict[str, set[Identity]] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(map(len, self._by_message.values()))

    def add(self, identity: Identity) -> None:
        """Await the outcome of this message."""
        self._by_message.setdefault(identity.message_id, set()).add(identity)

    def discard(self, identity: Identity) -> None:
        """Await it no more."""
        waiting = self._by_message.get(identity.message_id, set())
        waiting.discard(identity)
        if not waiting:
            self._by_message.pop(identity.message_id, None)

    def heard(self, body: bytes) -> bool | None:
        """Whether the event says that one of these was not rejected; None if it is about none."""
        try:
            event = read_event(body)
        except ValidationError:
            return None
        account, outcome = event.data.account or NO_ACCOUNT, event.data.outcome
        for identity in self._by_message.get(event.data.messageId or "", set()):
            if replace(identity, account=account).event_id(outcome) == event.id:
                self.discard(identity)
                return outcome != "rejected"
        return None


@dataclass(slots=True)
class Canary:
    """The step that is under way: what of it has been sent, and what has been heard of that."""

    step: Step
    sent: int = 0
    awaited: Awaited = field(default_factory=Awaited)
    moved_at: float = 0.0
    """When something was sent or heard last, in monotonic seconds."""

    @property
    def has_room(self) -> bool:
        """Whether one more may be sent before the outcomes of the others are known."""
        return self.sent < self.step.size

    def begin(self, identity: Identity | None, now: float) -> None:
        """One more is sent."""
        self.sent += 1
        self.moved_at = now
        if identity is not None:
            self.awaited.add(identity)

    def fail(self, identity: Identity | None) -> None:
        """Nothing will be heard of one: no queue took it, or it has no id at all."""
        if identity is not None:
            self.awaited.discard(identity)
        self.step = self.step.heard(applied=False)

    def hear(self, body: bytes, now: float) -> bool | None:
        """Whether the event says that one of these was applied; None if it is about none."""
        applied = self.awaited.heard(body)
        if applied is not None:
            self.moved_at = now
            self.step = self.step.heard(applied=applied)
        return applied

    def is_overdue(self, now: float, patience: float) -> bool:
        """Whether nothing has been heard for too long."""
        return bool(self.awaited) and now - self.moved_at > patience

    def go_on(self, left: int) -> None:
        """Begin the next step, of at most as many letters as are left."""
        self.step, self.sent = self.step.next().of(left), 0
