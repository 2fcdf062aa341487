"""Dead letters counted by why they died."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from worker.letters.letter import Letter


@dataclass(slots=True)
class Group:
    """The letters of one reason and API status."""

    reason: str
    status: str
    count: int = 0
    oldest: datetime | None = None
    """When the first of them died; None if none says so."""
    newest: datetime | None = None
    accounts: Counter[str] = field(default_factory=Counter)
    detail: str = ""
    """What the newest of them says."""

    def add(self, letter: Letter) -> None:
        """Count one letter."""
        self.count += 1
        self.accounts[letter.account or ""] += 1
        died = letter.dead_at
        if died is None:
            self.detail = self.detail or letter.detail
            return
        if self.oldest is None or died < self.oldest:
            self.oldest = died
        if self.newest is None or died >= self.newest:
            self.newest, self.detail = died, letter.detail


@dataclass(slots=True)
class Groups:
    """Letters counted one by one; none is kept."""

    _groups: dict[tuple[str, str], Group] = field(default_factory=dict)

    def add(self, letter: Letter) -> None:
        """Count one letter."""
        key = letter.reason, letter.status
        if key not in self._groups:
            self._groups[key] = Group(*key)
        self._groups[key].add(letter)

    def listed(self) -> list[Group]:
        """The groups, the largest first."""
        found = self._groups.values()
        return sorted(found, key=lambda group: (-group.count, group.reason, group.status))
