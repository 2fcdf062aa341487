"""What became of published edits, in numbers and in words."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from schemas.document import printable
from worker.settler import Fate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from schemas import Event
    from worker.cli.addressed import Addressed

_DETAIL_AT_MOST = 300
_UNHEARD = {
    Fate.CONFIRMED: "no outcome yet",
    Fate.UNROUTABLE: "unroutable: no queue takes it",
    Fate.REFUSED: "refused by RabbitMQ",
}


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What RabbitMQ said of each message, and what the worker did."""

    edits: Sequence[Addressed]
    fates: Mapping[str, Fate]
    """By message id; what is missing was not confirmed."""
    events: Mapping[str, Event] | None
    """By message id; None when they were not waited for."""

    def counted(self) -> list[tuple[str, int]]:
        """Each thing that became of an edit, and of how many; the most frequent first."""
        return Counter(map(self._became, self.edits)).most_common()

    def bad(self) -> Iterator[str]:
        """A line for each edit that was rejected, or that no queue took."""
        for each in self.edits:
            event = (self.events or {}).get(each.message_id)
            fate = self.fates.get(each.message_id)
            where = f"{each.draft.file}:{each.draft.line}, job {each.edit.jobId}"
            if event is not None and event.data.outcome == "rejected":
                yield f"{where}: {printable(str(event.data.detail), _DETAIL_AT_MOST)}"
            elif fate in {Fate.UNROUTABLE, Fate.REFUSED}:
                yield f"{where}: {_UNHEARD[fate]}"

    def _became(self, edit: Addressed) -> str:
        event = (self.events or {}).get(edit.message_id)
        if event is None:
            fate = self.fates.get(edit.message_id)
            if fate is None:
                return "not confirmed"
            is_done = self.events is None and fate is Fate.CONFIRMED
            return "confirmed" if is_done else _UNHEARD[fate]
        if event.data.outcome != "rejected":
            return event.data.outcome
        status = f" {event.data.apiStatus}" if event.data.apiStatus else ""
        words = f" ({printable(event.data.apiReason)})" if event.data.apiReason else ""
        return f"rejected: {event.data.reason}{status}{words}"
