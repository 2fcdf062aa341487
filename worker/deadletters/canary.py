"""How a redrive is to go, and how far it has come.

Letters that were sent again, and whose outcome is to be heard.

A redrive that feels its way: a few first, and more only while they are applied.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pydantic import ValidationError

from schemas import read_event
from worker.core.identity import NO_ACCOUNT

if TYPE_CHECKING:
    from worker.core.identity import Identity
    from worker.core.rate_limit import Rate
    from worker.deadletters.plan import Step


@dataclass(frozen=True, slots=True)
class RedriveOptions:
    """How fast to go, and what to wait for."""

    rates: tuple[Rate, ...] = ()
    """None at all: as fast as RabbitMQ takes them."""
    canary: Step | None = None
    """Wait for the outcomes of so many first, then of twice as many, and so on."""
    patience: float = 60.0
    """Seconds to wait for the next outcome."""
    hold: float = 900.0
    """Seconds that letters are kept at most before they are given back and taken anew."""


@dataclass(slots=True)
class RedriveProgress:
    """What has become of the letters of a redrive so far."""

    sent: int = 0
    """Confirmed by a queue, and taken out."""
    copies: int = 0
    """Taken out and not sent, for they had been, and were settled."""
    applied: int = 0
    """Of those sent, as far as their outcome was waited for; `rejected` likewise."""
    rejected: int = 0
    unroutable: int = 0
    """No queue would have them; they stay where they are, as do the `refused`."""
    refused: int = 0
    gone: int = 0
    """Not in the queue any more: somebody else has taken them out."""
    unsure: int = 0
    """Sent without a confirm before the end: still in the queue, and maybe in their lane too."""
    stopped: str = ""
    """Why it stopped early; the rest of a sentence."""

    @property
    def moved(self) -> int:
        """How many letters there is nothing more to do about."""
        return self.sent + self.copies + self.unroutable + self.refused + self.gone

    @property
    def is_good(self) -> bool:
        """Whether all went as it was wished."""
        return not (self.rejected or self.unroutable or self.refused or self.unsure or self.stopped)


@dataclass(slots=True)
class Awaited:
    """Known by what the id of their event will be; its account may be known by then only."""

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
        """Whether the event says that one of these was applied; None if it is about none."""
        try:
            event = read_event(body)
        except ValidationError:
            return None
        account, outcome = event.data.account or NO_ACCOUNT, event.data.outcome
        for identity in self._by_message.get(event.data.messageId or "", set()):
            if replace(identity, account=account).event_id(outcome) == event.id:
                self.discard(identity)
                return outcome == "applied"
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

    def is_over(self, *, all_sent: bool) -> bool:
        """Whether everything is known of this step; `all_sent`: there are no more letters."""
        return not self.awaited and (all_sent or not self.has_room)

    def is_overdue(self, now: float, patience: float) -> bool:
        """Whether nothing has been heard for too long."""
        return bool(self.awaited) and now - self.moved_at > patience

    def go_on(self, left: int) -> None:
        """Begin the next step, of at most as many letters as are left."""
        self.step, self.sent = self.step.next().of(left), 0
