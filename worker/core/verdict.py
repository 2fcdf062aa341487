"""What is to become of an edit after a reply: one of four verdicts.

The same four are in AMQP 1.0 (accepted, rejected, modified, released) and in River (completed,
cancelled, retryable, snoozed). A bug is an exception, not a verdict.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import timedelta

    from schemas import FieldProblem, Reason


@dataclass(frozen=True, slots=True)
class Applied:
    """The provider has taken the edit."""

    status: str
    words: str | None = None
    """What the API said, if anything."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The edit's fault, or its attempts are used up: an event and a dead letter."""

    reason: Reason
    detail: str
    """One sentence for people; names the field where there is one."""
    fields: tuple[FieldProblem, ...] = ()
    status: str | None = None
    words: str | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """This attempt's fault: again after a while, before anything later of the same job."""

    after: timedelta
    status: str | None
    detail: str
    counted: bool = True


@dataclass(frozen=True, slots=True)
class Suspend:
    """The API's or the account's fault: no edit can pass, so none is blamed.

    With `after` the API itself said when to come back (throttling); without it the lane probes.
    """

    status: str | None
    detail: str
    after: timedelta | None = None
    throttled: bool = False
    instead: Retry | Rejected | None = None
    """What it is where others are answered, and only this edit is refused; None: never that."""


@dataclass(frozen=True, slots=True)
class Superseded:
    """Not called, for a newer edit of its job was applied: no verdict on a reply, but an end."""

    by: str | None
    """The newer edit's message id, if it has one."""


Verdict = Applied | Rejected | Retry | Suspend
Ending = Applied | Rejected | Superseded
"""How an edit ends: what its event says."""
