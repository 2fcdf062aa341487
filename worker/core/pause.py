"""Which accounts are paused, from the entries of the control stream in their order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from schemas import ControlEntry


@dataclass(slots=True)
class Pauses:
    """The last entry of each account; a later one replaces an earlier one, whoever wrote it."""

    _last: dict[str, ControlEntry] = field(default_factory=dict)

    def hear(self, entry: ControlEntry) -> None:
        """Take in the next entry of the stream."""
        self._last[entry.account] = entry

    def last(self, account: str) -> ControlEntry | None:
        """The last entry of an account, whether it holds still or not."""
        return self._last.get(account)

    @property
    def accounts(self) -> list[str]:
        """Every account that anything was wanted of."""
        return sorted(self._last)

    def of(self, account: str, now: datetime) -> ControlEntry | None:
        """The pause that holds for an account at `now` (aware); None when it may work."""
        entry = self._last.get(account)
        if entry is None or entry.action != "pause":
            return None
        return None if entry.until is not None and entry.until <= now else entry
