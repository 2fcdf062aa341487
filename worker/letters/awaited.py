"""Letters that were sent again, and whose outcome is to be heard."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pydantic import ValidationError

from schemas import read_event
from worker.core.identity import NO_ACCOUNT

if TYPE_CHECKING:
    from worker.core.identity import Identity


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
