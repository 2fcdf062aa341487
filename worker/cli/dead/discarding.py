"""`taskedit dead discard`: letters thrown away."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from worker.cli.dead.choice import wanted_options
from worker.cli.dead.looked import looked, now
from worker.cli.exits import FAILED
from worker.cli.sessions import ended, recorded, settings_and_broker
from worker.deadletters.browse import discard
from worker.deadletters.filter import Groups
from worker.deadletters.render import counted, plain
from worker.deadletters.visit import VisitFailure

if TYPE_CHECKING:
    from worker.core.message import Delivery
    from worker.deadletters.filter import DeadLetterFilter
    from worker.deadletters.letter import Letter


@click.command(name="discard")
@click.argument("ids", metavar="[ID]...", nargs=-1)
@wanted_options
@click.option("--why", metavar="TEXT", help="For whoever wonders, next week.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def command(ids: tuple[str, ...], wanted: DeadLetterFilter, why: str | None, *, yes: bool) -> None:
    """Throw letters away for good: those that are there now, and nothing that comes later.

    Asks first on a terminal; elsewhere it needs --yes. `export` them before if in doubt.
    """
    if not yes and not sys.stdin.isatty():
        raise click.UsageError("Nobody can be asked here: give --yes to discard.")
    _, broker = settings_and_broker()
    wanted, at, groups = wanted.named(ids), now(), Groups()
    keys: set[bytes] = set()
    ids_of: list[str] = []

    def see(letter: Letter, _: Delivery) -> None:
        if wanted.takes(letter, at):
            keys.add(letter.key)
            ids_of.append(letter.event_id or "")
            groups.add(letter)

    looked(broker, "discard", see)
    number = sum(group.count for group in groups.listed())
    if not number:
        click.echo("No dead letters match.", err=True)
        return
    if not yes:
        for group in groups.listed():
            status = f" {group.status}" if group.status else ""
            cause = f"{group.reason}{status}: {group.cause}".rstrip(": ")
            click.echo(f"{group.count:>8}  {plain(cause)}", err=True)
        click.confirm(f"Discard {counted(number)} for good?", abort=True, err=True)
    with recorded(
        broker, "discard", what=wanted.told(), why=why, count=number, ids=tuple(ids_of)
    ) as operation:
        gone = discard(broker, "taskedit dead discard", keys)
        operation.result |= (
            {"failed": gone.why} if isinstance(gone, VisitFailure) else {"discarded": gone}
        )
    if isinstance(gone, VisitFailure):
        raise ended(gone)
    click.echo(f"{counted(gone)} discarded.", err=True)
    if gone < number:
        click.echo(f"{number - gone} were not there any more.", err=True)
        raise click.exceptions.Exit(FAILED)
