"""A redrive that feels its way: a few first, and more only while they are applied."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from worker.letters.awaited import Awaited

if TYPE_CHECKING:
    from worker.core.identity import Identity
    from worker.letters.steps import Step


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
