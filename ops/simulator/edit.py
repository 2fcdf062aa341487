"""The body of a call, read as far as it can be."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

LONG_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Edit:
    """`fields` as decoded, None where the body is no JSON; the rest None where it is not fit.

    `digest`: SHA-256 of the body.
    """

    fields: Any
    job: int | None
    name: str | None
    app_id: str | None
    digest: bytes


def read(body: bytes) -> Edit:
    """Whatever was sent; bad input is for the rules to refuse."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        fields = None
    known = fields if isinstance(fields, dict) else {}
    job = known.get("jobId")
    return Edit(
        fields,
        job if type(job) is int and 1 <= job <= LONG_MAX else None,
        _text(known.get("name")),
        _text(known.get("appId")),
        hashlib.sha256(body).digest(),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
