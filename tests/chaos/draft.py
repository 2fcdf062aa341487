"""The edits of a run: mostly good ones, and every kind of other, drawn from a seed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.chaos.evidence import APPLIED

if TYPE_CHECKING:
    from random import Random

APP = "acme-app"
REFUSED, FLAKY = "refused-", "flaky-"
"""How the names of edits begin that the API refuses, or fails at half the time."""
_KINDS = {"good": 88, "refused": 4, "flaky": 4, "invalid": 2, "malformed": 2}


@dataclass(frozen=True, slots=True)
class Draft:
    """A message to be published."""

    body: bytes
    job: int | None
    name: str | None
    expected: frozenset[str]


def draft(chance: Random, number: int, jobs: int) -> Draft:
    """The message in this place of the order; each job gets about as many as any other."""
    kind = chance.choices(tuple(_KINDS), tuple(_KINDS.values()))[0]
    job = chance.randrange(1, jobs + 1)
    match kind:
        case "malformed":
            return Draft(b'{"jobId": %d,' % job, None, None, frozenset({"malformed"}))
        case "invalid":
            return Draft(_body(job, None, robotCount=0), None, None, frozenset({"invalid"}))
        case "refused":
            name, expected = f"{REFUSED}{number}", {"api_rejected"}
        case "flaky":
            name, expected = f"{FLAKY}{number}", {APPLIED, "exhausted"}
        case _:
            name, expected = f"good-{number}", {APPLIED}
    return Draft(_body(job, name), job, name, frozenset(expected))


def _body(job: int, name: str | None, **changes: object) -> bytes:
    edit: dict[str, object] = {
        "appId": APP,
        "jobId": job,
        "name": name or "nameless",
        "dialogFlowId": 8663,
        "mode": "MANUAL",
        "dailyStartDateTime": "09:00",
        "dailyEndDateTime": "20:00",
        "robotCount": 1,
        "jobPhoneNumberId": 2959,
        "redial": False,
    }
    return json.dumps(edit | changes).encode()
