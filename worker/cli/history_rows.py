"""Events as rows for people, one by one as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from schemas.document import printable
from worker.letters.words import moment

if TYPE_CHECKING:
    from schemas import Event

HEADING = (
    f"{'TIME':<23}  {'OUTCOME':<10}  {'WHY':<19}  {'ACCOUNT':<12}  {'APP':<14}  {'JOB':>10}"
    "  MESSAGE, DETAIL"
)
_COLORS = {"applied": "green", "rejected": "red", "superseded": "cyan"}
_DETAIL_AT_MOST = 200
_NAME_AT_MOST = 60


def row(event: Event) -> str:
    """An event in a line; colours are for terminals, and `click.echo` takes them out elsewhere."""
    data = event.data
    why = " ".join(part for part in (data.reason, data.apiStatus) if part and part != "0")
    outcome = click.style(f"{data.outcome:<10}", fg=_COLORS[data.outcome])
    job = "" if data.jobId is None else str(data.jobId)
    return (
        f"{moment(event.time):<23}  {outcome}  {printable(why):<19}  {data.account or '-':<12}"
        f"  {printable(data.appId or '-'):<14}  {job:>10}"
        f"  {printable(data.messageId or '-', _NAME_AT_MOST)}"
        + (f"  {printable(data.detail, _DETAIL_AT_MOST)}" if data.detail else "")
        + (f"  by {printable(data.supersededBy, _NAME_AT_MOST)}" if data.supersededBy else "")
    )
