"""Which dead letters somebody wants."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime, timedelta

    from worker.letters.letter import Letter

NO_ACCOUNT = "-"
"""Stands for letters of no account, as in an event's source."""


@dataclass(frozen=True, slots=True)
class Wanted:
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
        return self == Wanted()

    def named(self, names: Iterable[str]) -> Wanted:
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
