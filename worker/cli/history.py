"""`taskedit history`: what happened, from the journal."""

from __future__ import annotations

from dataclasses import replace
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Final

import click

from worker.cli.history_rows import HEADING, row
from worker.cli.history_sought import MARGIN, event_in, point, sought_options
from worker.cli.parsed import parsed
from worker.cli.troubled import ended, settings_and_broker
from worker.letters.words import counted, moment
from worker.visits.journal import read_journal

if TYPE_CHECKING:
    from datetime import datetime

    from worker.cli.history_sought import Sought

MEMORY_AT_MOST: Final = 32 * 1024 * 1024
"""Bytes of what is found; beyond that it waits in a file. Nothing is printed before all is read:
a pager that nobody scrolls would block the connection until RabbitMQ closes it."""


@click.command(name="history")
@sought_options
@click.option("--until", metavar="TIME", callback=parsed(point), help="Likewise.")
@click.option("--json", "as_json", is_flag=True, help="The events, as they were published.")
def command(sought: Sought, until: datetime | None, *, as_json: bool) -> None:
    """Show what happened to edits, oldest first, as far back as the journal goes.

    Ends with 69 when there is no journal: it is a stream, which RabbitMQ has from 3.9 on.
    """
    _, broker = settings_and_broker()
    sought = replace(sought, until=until)
    passes, found = sought.sieve(), 0

    def hear(_: object, body: bytes) -> bool:
        nonlocal found
        event = event_in(body) if passes(body) else None
        if event is None:
            return True
        if sought.wants(event):
            found += 1
            spool.write(body if as_json else row(event).encode())
            spool.write(b"\n")
        return not sought.is_over(event)

    since = "first" if sought.since is None else sought.since - MARGIN
    with SpooledTemporaryFile(MEMORY_AT_MOST) as spool:
        trouble = read_journal(broker, since, hear)
        spool.seek(0)
        if found and not as_json:
            click.echo(HEADING)
        for line in spool:
            click.echo(line if as_json else line.decode(), nl=False)
    if trouble is not None:
        raise ended(trouble)
    since_when = "" if sought.since is None else f" since {moment(sought.since)}"
    click.echo(f"{counted(found, 'event')}{since_when}.", err=True)
