"""What the worker would say of a letter's body, its own or another."""

from __future__ import annotations

from difflib import unified_diff
from typing import TYPE_CHECKING

from worker.console.model import MendCheck
from worker.deadletters.mend import bounds_for, laid_out, problems

if TYPE_CHECKING:
    from worker.core.message import Delivery
    from worker.deadletters.letter import Letter
    from worker.settings import Settings


def checked(
    letter: Letter, delivery: Delivery, settings: Settings, body: bytes | None = None
) -> MendCheck:
    """What the worker would say of a letter now, or of `body` in its stead."""
    found = problems(letter, delivery, bounds_for(letter, settings), body)
    detail, named = found or (None, ())
    difference: tuple[str, ...] = ()
    if body is not None:
        before, after = (laid_out(each).splitlines() for each in (delivery.body, body))
        difference = tuple(unified_diff(before, after, lineterm="", n=2))[2:]
    return MendCheck(detail, tuple((each.field, each.problem) for each in named), difference)
