"""What an audit has found, and how it is told."""

from __future__ import annotations

from dataclasses import dataclass, fields

_PROMISED_ABSENT = (
    "lost",
    "unexpected",
    "order_violations",
    "overlaps",
    "calls_after_event",
    "event_ids_changed",
    "rate_violations",
    "calls_while_paused",
    "misplaced",
    "beyond_unavoidable",
)


@dataclass(frozen=True, slots=True)
class Report:
    """Counts over a whole run; see `audit` for what each means."""

    published: int
    applied: int
    rejected: int
    lost: int
    unexpected: int
    order_violations: int
    overlaps: int
    calls_after_event: int
    """Calls of a message whose event was out already."""
    event_ids_changed: int
    """Messages whose repeated events do not all have one id."""
    rate_violations: int
    """Calls beyond a limit in some sliding window, where they are sent."""
    calls_while_paused: int
    """Calls between the success of `taskedit pause` and the beginning of `taskedit resume`."""
    misplaced: int
    """Calls by an account that the edit's app was not of."""
    greatest_haste: float
    """Milliseconds by which a call was early, at most: it is noted by another process."""
    unavoidable: int
    """Overlaps with, and late arrivals of, calls begun before their caller was cut off."""
    beyond_unavoidable: int
    """Faults that left more of those behind than calls were in flight."""
    repeated_calls: int
    repeated_events: int
    repeated_letters: int
    ended_by_themselves: int
    """Processes that ended without being asked to, as a watchdog may want, or not well."""
    unconfirmed: int
    """Published without a confirm; may have been applied or not."""
    longest_recovery: float
    """Seconds without trouble, but without an outcome either, while edits waited."""
    findings: tuple[str, ...] = ()
    """The first of each kind that should not be, in words."""
    excused: tuple[str, ...] = ()
    """How many unavoidable ones each fault has left behind."""

    @property
    def broken(self) -> tuple[str, ...]:
        """The names of the promises that were not kept."""
        return tuple(name for name in _PROMISED_ABSENT if getattr(self, name))

    def __str__(self) -> str:
        lines = [
            f"{field.name.replace('_', ' '):<20} {getattr(self, field.name):>9.6g}"
            for field in fields(self)
            if field.type in {"int", "float"}
        ]
        lines += [f"~ {excuse}" for excuse in self.excused]
        return "\n".join((*lines, *(f"! {finding}" for finding in self.findings)))
