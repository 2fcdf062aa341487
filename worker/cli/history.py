"""`taskedit history`: what happened, from the journal."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from worker.cli.history_rows import HEADING, row
from worker.cli.history_sought import MARGIN, event_in, point, sought_options
from worker.cli.parsed import parsed
from worker.cli.troubled import ended, settings_and_broker
from worker.letters.words import counted
from worker.visits.journal import read_journal

if TYPE_CHECKING:
    from datetime import datetime

    from worker.cli.history_sought import Sought


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

    def hear(_: str | None, body: bytes) -> bool:
        nonlocal found
        event = event_in(body) if passes(body) else None
        if event is None:
            return True
        if sought.wants(event):
            if not (found or as_json):
                click.echo(HEADING)
            found += 1
            click.echo(body if as_json else row(event))
        return not sought.is_over(event)

    since = "first" if sought.since is None else sought.since - MARGIN
    trouble = read_journal(broker, since, hear)
    sys.stdout.flush()
    if trouble is not None:
        raise ended(trouble)
    click.echo(f"{counted(found, 'event')}.", err=True)
