"""Dead letters counted by cause: reason, API status, and what the detail says."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

    from worker.letters.letter import Letter

GROUPS_AT_MOST: Final = 500
"""Beyond that the letters of a reason and a status are one group: details may be of any kind."""
_CAUSE_AT_MOST: Final = 160
_QUOTED: Final = re.compile(r""" "[^"]*" | '[^']*' """, re.VERBOSE)
_NUMBER: Final = re.compile(r"\d+")


def cause(detail: str) -> str:
    """A detail without what differs from edit to edit: quoted values are …, numbers are N."""
    return _NUMBER.sub("N", _QUOTED.sub("…", detail))[:_CAUSE_AT_MOST]


@dataclass(slots=True)
class Group:
    """The letters of one reason, API status and cause."""

    reason: str
    status: str
    cause: str = ""
    """The detail that they share, as `cause` gives it."""
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

    _groups: dict[tuple[str, str, str], Group] = field(default_factory=dict)

    def add(self, letter: Letter) -> None:
        """Count one letter."""
        key = letter.reason, letter.status, cause(letter.detail)
        if key not in self._groups and len(self._groups) >= GROUPS_AT_MOST:
            key = letter.reason, letter.status, ""
        if key not in self._groups:
            self._groups[key] = Group(*key)
        self._groups[key].add(letter)

    def listed(self) -> list[Group]:
        """The groups, the largest first."""
        found = self._groups.values()
        return sorted(
            found, key=lambda group: (-group.count, group.reason, group.status, group.cause)
        )
