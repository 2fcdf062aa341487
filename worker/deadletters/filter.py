"""Dead letters chosen by what they say, and counted by cause."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime, timedelta

    from worker.deadletters.letter import Letter


NO_ACCOUNT = "-"
"""Stands for letters of no account, as in an event's source."""


@dataclass(frozen=True, slots=True)
class DeadLetterFilter:
    """A letter is wanted if it is one of each list that is not empty."""

    reasons: frozenset[str] = frozenset()
    statuses: frozenset[str] = frozenset()
    accounts: frozenset[str] = frozenset()
    jobs: frozenset[int] = frozenset()
    apps: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    """Message ids, event ids, or places in the queue as ``#3``."""
    older_than: timedelta | None = None
    newer_than: timedelta | None = None

    @property
    def is_everything(self) -> bool:
        """Whether nothing is chosen: every letter is wanted."""
        return self == DeadLetterFilter()

    def named(self, names: Iterable[str]) -> DeadLetterFilter:
        """The same, but of these names too, if any are given."""
        return replace(self, names=self.names | frozenset(names))

    def told(self) -> dict[str, list[str] | str]:
        """What is asked for, as it is recorded: only what narrows it."""
        lists = {
            "reason": self.reasons,
            "status": self.statuses,
            "account": self.accounts,
            "job": self.jobs,
            "app": self.apps,
            "id": self.names,
        }
        told: dict[str, list[str] | str] = {
            name: sorted(map(str, values)) for name, values in lists.items() if values
        }
        ages = {"older_than": self.older_than, "newer_than": self.newer_than}
        return told | {name: str(age) for name, age in ages.items() if age is not None}

    def takes(self, letter: Letter, now: datetime) -> bool:
        """Whether the letter is wanted. `now`: aware; a letter without a date has no age."""
        head = letter.head
        return (
            (not self.reasons or letter.reason in self.reasons)
            and (not self.statuses or letter.status in self.statuses)
            and (not self.accounts or (letter.account or NO_ACCOUNT) in self.accounts)
            and (not self.jobs or head.job_id in self.jobs)
            and (not self.apps or head.app_id in self.apps)
            and (not self.names or self._is_named(letter))
            and self._is_of_age(letter, now)
        )

    def _is_named(self, letter: Letter) -> bool:
        known = (letter.head.message_id, letter.event_id, f"#{letter.place}")
        return any(name in self.names for name in known if name)

    def _is_of_age(self, letter: Letter, now: datetime) -> bool:
        if self.older_than is None and self.newer_than is None:
            return True
        if letter.dead_at is None:
            return False
        age = now - letter.dead_at
        return (self.older_than is None or age > self.older_than) and (
            self.newer_than is None or age < self.newer_than
        )


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
