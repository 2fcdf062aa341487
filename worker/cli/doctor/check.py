"""The result of one check by `taskedit doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from worker.cli.exits import FAILED


class Health(StrEnum):
    """What is to be said of it."""

    GOOD = "good"
    NOTE = "note"
    """The worker runs all the same; somebody should know."""
    UNVERIFIED = "unverified"
    """It may be good: nobody here could see."""
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, what is to be said of it, and the command that mends it."""

    name: str
    health: Health
    says: str
    mend: str = ""
    exit: int = FAILED
    """How the doctor ends if this is bad."""
