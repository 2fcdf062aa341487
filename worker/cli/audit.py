"""`taskedit audit`: who did what to letters and accounts, and what came of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click
from pydantic_core import to_json

from worker.amqp.session import FailureKind, SessionError
from worker.cli.options import parsed
from worker.cli.sessions import at_broker, read_settings, sentence
from worker.cli.terminal import width
from worker.deadletters.render import columns, moment, plain, stamp
from worker.fleet.operations import operations
from worker.settings import texts

if TYPE_CHECKING:
    from worker.amqp.session import Session
    from worker.fleet.operations import Entry

_PERIOD = texts.duration(timedelta(seconds=1), timedelta(days=3660))


@click.command(name="audit")
@click.option("--since", metavar="TIME", callback=parsed(_PERIOD), help="Not longer ago, as 1d.")
@click.option("--json", "as_json", is_flag=True, help="A line of JSON an operation.")
def command(since: timedelta | None, *, as_json: bool) -> None:
    """Show who did what to dead letters and accounts, oldest first, and with what result.

    The person's name is what they said; the RabbitMQ user is vouched for by RabbitMQ. What was
    begun and never ended was cut short. Ends with 69 when RabbitMQ or its operations stream is
    not there.
    """
    start = None if since is None else datetime.now(UTC) - since
    found = at_broker(read_settings(), lambda session: operations(session, start))
    if as_json:
        for entry in found:
            click.echo(to_json(_in_json(entry)))
    elif found:
        head = ("at", "who", "did", "to", "count", "result", "why")
        for line in columns([head, *map(_row, found)], frozenset((4,)), width()):
            click.echo(line)
    else:
        click.echo("No operations.")


async def operations_if_any(session: Session) -> list[Entry]:
    """What operators did, for whom it is enough to be told why not."""
    try:
        return await operations(session)
    except SessionError as error:
        if error.failure.kind not in {FailureKind.NO_STREAM, FailureKind.REFUSED}:
            raise
        click.echo(f"{sentence(error.failure.why)} Who sent what again is not known.", err=True)
        return []


def done_by(entry: Entry) -> str:
    """Who did it, when and why, as the rest of a sentence."""
    begun = entry.begun
    why = f": {begun.why}" if begun.why else ""
    user = f" ({begun.user})" if entry.vouched and begun.user else ""
    return plain(f"{moment(begun.at)}, {begun.action} by {begun.actor}{user}{why}")


def _in_json(entry: Entry) -> dict[str, Any]:
    begun, ended = entry.begun, entry.ended
    return {
        "id": begun.id,
        "at": stamp(begun.at),
        "actor": begun.actor,
        "user": begun.user if entry.vouched else None,
        "via": begun.via,
        "action": begun.action,
        "filter": begun.filter,
        "count": begun.count,
        "ids": begun.ids,
        "why": begun.why,
        "ended": stamp(ended.at) if ended else None,
        "result": ended.result if ended else None,
    }


def _row(entry: Entry) -> tuple[str, ...]:
    begun, ended = entry.begun, entry.ended
    what = ", ".join(
        f"{key} {_short(value)}" for key, value in begun.filter.items() if value is not None
    )
    if ended is None:
        result = "never ended: under way, or cut short"
    else:
        result = ", ".join(f"{key} {_short(value)}" for key, value in (ended.result or {}).items())
    user = f" ({begun.user})" if entry.vouched and begun.user else ""
    count = "" if begun.count is None else str(begun.count)
    row = (moment(begun.at), f"{begun.actor}{user}", begun.action, what, count, result)
    return *(plain(text) for text in row), plain(begun.why or "")


def _short(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
