"""Why letters died, without what differs from edit to edit: what groups are made by."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Final

from worker.deadletters.filter import cause as masked

_FIELD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}(?:\[\d+\]|\.[A-Za-z][A-Za-z0-9_]*)*(?= )")
_PLACE_IN_LIST: Final = re.compile(r"\[\d+\]")
_SHORT: Final = 12


@dataclass(frozen=True, slots=True)
class Cause:
    """A reason, an API status, and the fields of an invalid edit or else the masked detail."""

    id: str
    reason: str
    status: str
    fields: tuple[str, ...]
    detail: str


@lru_cache(4096)
def cause_of(reason: str, status: str, detail: str) -> Cause:
    """The cause of a letter or of a rejected event: both tell the same three things."""
    fields = fields_in(detail) if reason == "invalid" else ()
    told = masked(detail)
    what = "\x1f".join((reason, status, *(fields or (told,))))
    return Cause(
        sha256(what.encode(errors="replace")).hexdigest()[:_SHORT], reason, status, fields, told
    )


def fields_in(detail: str) -> tuple[str, ...]:
    """The fields that the detail of an invalid edit names, each once, without places in lists."""
    found = (_FIELD.match(part) for part in detail.split("; "))
    return tuple(sorted({_PLACE_IN_LIST.sub("", each[0]) for each in found if each}))
