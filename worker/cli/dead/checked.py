"""What the worker would say of a letter's body now."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from worker.core.decode import Undecodable, decode

if TYPE_CHECKING:
    from schemas import Bounds, FieldProblem
    from worker.core.message import Delivery
    from worker.deadletters.letter import Letter
    from worker.settings import Settings


def bounds_for(letter: Letter, settings: Settings) -> Bounds:
    """The bounds of the letter's account if the settings know it, else the usual ones."""
    for account in settings.accounts:
        if account.name == letter.account:
            return account.bounds
    return settings.terms.bounds


def problems(
    letter: Letter, delivery: Delivery, bounds: Bounds, body: bytes | None = None
) -> tuple[str, tuple[FieldProblem, ...]] | None:
    """What is wrong with the body, as a detail and by field; None for a good one.

    `body`: another one to look at in its stead.
    """
    looked_at = delivery if body is None else replace(delivery, body=body)
    try:
        found = decode(looked_at, letter.account, bounds)
    except Exception as bug:  # noqa: BLE001 (it may have died of that)
        return f"reading it fails by a bug: {type(bug).__name__}", ()
    if isinstance(found, Undecodable):
        return found.verdict.detail, found.verdict.fields
    return None
