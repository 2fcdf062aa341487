"""`taskedit` as a test calls it, and an edit to call it with."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import structlog
from click.testing import CliRunner

from worker.cli import root

if TYPE_CHECKING:
    from collections.abc import Mapping

    from click.testing import Result


OURS = "TASKEDIT_"


def surroundings(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for a process: this one's, with these settings and no others."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    return kept | dict(environ)


def taskedit(
    *arguments: object, stdin: str | bytes = b"", environ: Mapping[str, str] | None = None
) -> Result:
    """The result of a command; a bug in it is raised here, and its logging ends with it."""
    called = [str(argument) for argument in arguments]
    others: dict[str, str | None] = {name: None for name in os.environ if name.startswith(OURS)}
    runner = CliRunner(env={**others, **(environ or {})})
    logging = structlog.get_config()
    try:
        return runner.invoke(
            root, called, input=stdin, catch_exceptions=False, prog_name="taskedit"
        )
    finally:
        structlog.configure(**logging)


def an_edit(**fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any field, good or bad
    """A valid edit; a field given as None is left out."""
    edit = {
        "appId": "APP1",
        "jobId": 1,
        "name": "reminder",
        "dialogFlowId": 7,
        "mode": "MANUAL",
        "dailyStartDateTime": "10:00",
        "dailyEndDateTime": "11:00",
        "robotCount": 1,
        "jobPhoneNumberId": 9,
        "redial": False,
    } | fields
    return {name: value for name, value in edit.items() if value is not None}


def a_line(**fields: Any) -> str:  # noqa: ANN401 - as above
    """The same as a line of JSON."""
    return json.dumps(an_edit(**fields)) + "\n"
