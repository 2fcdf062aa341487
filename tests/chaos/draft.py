"""The edits of a run: mostly good ones, and every kind of other, drawn from a seed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.chaos.evidence import APPLIED
from tests.chaos.names import APP, RENAMED, ROAMING

if TYPE_CHECKING:
    from collections.abc import Collection
    from random import Random

REFUSED, FLAKY = "refused-", "flaky-"
"""How the names of edits begin that the API refuses, or fails at half the time."""
_APPS = {APP: 70, ROAMING: 20, RENAMED: 10}
_JOBS_OF = {APP: 0, ROAMING: 200_000, RENAMED: 300_000}
"""What each app's jobs begin after, so that no two apps have a job of one number."""
_KINDS = {"good": 88, "refused": 4, "flaky": 4, "invalid": 2, "malformed": 2}


@dataclass(frozen=True, slots=True)
class Draft:
    """A message to be published."""

    app: str
    body: bytes
    job: int | None
    name: str | None
    expected: frozenset[str]


def draft(chance: Random, number: int, jobs: int, silent: Collection[str] = ()) -> Draft:
    """The message in this place of the order, of an app that is not silent.

    Each of an app's jobs gets about as many as any other.
    """
    app = chance.choices(tuple(_APPS), [0 if app in silent else of for app, of in _APPS.items()])[0]
    kind = chance.choices(tuple(_KINDS), tuple(_KINDS.values()))[0]
    job = _JOBS_OF[app] + chance.randrange(1, jobs + 1)
    match kind:
        case "malformed":
            # left over in a lane, of an app that nobody can read, it is nobody's
            expected = {"malformed", "unknown_app"} if app == RENAMED else {"malformed"}
            return Draft(app, b'{"jobId": %d,' % job, None, None, frozenset(expected))
        case "invalid":
            return Draft(
                app, _body(app, job, None, robotCount=0), None, None, frozenset({"invalid"})
            )
        case "refused":
            name, expected = f"{REFUSED}{number}", {"api_rejected"}
        case "flaky":
            name, expected = f"{FLAKY}{number}", {APPLIED, "exhausted"}
        case _:
            name, expected = f"good-{number}", {APPLIED}
    return Draft(app, _body(app, job, name), job, name, frozenset(expected))


def _body(app: str, job: int, name: str | None, **changes: object) -> bytes:
    edit: dict[str, object] = {
        "appId": app,
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
