"""What has been settled lately, so that a repeat is answered and not called again."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from worker.core.identity import Identity

if TYPE_CHECKING:
    from worker.core.delivery import Publication

Key = TypeVar("Key", Identity, str)
EVENTS_AT_MOST = 10_000
SECONDS_AT_MOST = 3600.0


@dataclass(slots=True)
class Memory:
    """The events of the last hour, at most 10,000: our own, and what the journal recalls.

    `now` is one monotonic clock in seconds throughout.
    """

    _own: OrderedDict[Identity, tuple[float, Publication]] = field(default_factory=OrderedDict)
    _recalled: OrderedDict[str, tuple[float, Publication]] = field(default_factory=OrderedDict)
    _bodies: OrderedDict[tuple[str, str], bytes] = field(default_factory=OrderedDict)

    def keep(self, identity: Identity, event: Publication, now: float) -> None:
        """Remember the event that settled this message."""
        self._own[identity] = (now, event)
        self._own.move_to_end(identity)
        _trim(self._own, now)

    def recall(self, event: Publication, now: float, age: float) -> None:
        """Remember an event read from the journal, published `age` seconds ago."""
        event_id = event.properties.message_id
        if event_id:
            self._recalled[event_id] = (now - age, event)
            _trim(self._recalled, now)

    def find(self, identity: Identity, now: float) -> Publication | None:
        """The event that settled this very message before, if that is remembered."""
        found = self._own.get(identity)
        if found is None and self._recalled:
            for outcome in ("applied", "rejected"):
                found = found or self._recalled.get(identity.event_id(outcome))
        if found is None or now - found[0] > SECONDS_AT_MOST:
            return None
        return found[1]

    def conflicts(self, identity: Identity) -> bool:
        """Whether the same message id was seen last with another body; remembers this one."""
        key = (identity.account, identity.message_id)
        before = self._bodies.pop(key, identity.digest)
        self._bodies[key] = identity.digest
        if len(self._bodies) > EVENTS_AT_MOST:
            self._bodies.popitem(last=False)
        return before != identity.digest

    def __len__(self) -> int:
        return len(self._own) + len(self._recalled)


def _trim(events: OrderedDict[Key, tuple[float, Publication]], now: float) -> None:
    while events:
        oldest = next(iter(events))
        if len(events) <= EVENTS_AT_MOST and now - events[oldest][0] <= SECONDS_AT_MOST:
            return
        del events[oldest]
