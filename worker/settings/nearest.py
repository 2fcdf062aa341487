"""The name that was probably meant."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like `name`, whatever its case; None when none is like it."""
    by_case = {one.lower(): one for one in sorted(known)}
    found = get_close_matches(name.lower(), by_case, n=1)
    return by_case[found[0]] if found else None
