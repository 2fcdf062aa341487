"""A letter's body as somebody mends it, and what the worker would say of it then."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from schemas import Malformed, document
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


def laid_out(body: bytes) -> str:
    """JSON with a field a line; what is no JSON as it stands."""
    found = document.read(body)
    if isinstance(found, Malformed):
        return body.decode(errors="replace")
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


def packed(text: str) -> bytes:
    """Without the layout; what cannot be read goes as it is, to be told what is wrong with it."""
    found = document.read(text.strip().encode(errors="replace"))
    if isinstance(found, Malformed):
        return text.strip().encode(errors="replace")
    return json.dumps(found, separators=(",", ":"), ensure_ascii=False).encode()
