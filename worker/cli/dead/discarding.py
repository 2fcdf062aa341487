"""`taskedit dead discard`: letters thrown away."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

from worker.cli.dead.selection import letter_filter_options, selected
from worker.cli.exits import FAILED
from worker.cli.sessions import at_broker, read_settings
from worker.deadletters.filter import Groups
from worker.deadletters.queue import discard, locked
from worker.deadletters.render import counted, plain
from worker.fleet.operations import begun, recorded

if TYPE_CHECKING:
    from schemas import OperationRecord
    from worker.amqp.session import Session
    from worker.deadletters.filter import DeadLetterFilter


@click.command(name="discard")
@click.argument("ids", metavar="[ID]...", nargs=-1)
@letter_filter_options
@click.option("--why", metavar="TEXT", help="For whoever wonders, next week.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def command(ids: tuple[str, ...], wanted: DeadLetterFilter, why: str | None, *, yes: bool) -> None:
    """Throw letters away for good: those that are there now, and nothing that comes later.

    Asks first on a terminal; elsewhere it needs --yes. `export` them before if in doubt.
    """
    if not yes and not sys.stdin.isatty():
        raise click.UsageError("Nobody can be asked here: give --yes to discard.")
    settings = read_settings()
    wanted = wanted.named(ids)
    found = at_broker(settings, lambda session: _choose(session, wanted))
    number = len(found.ids)
    if not number:
        click.echo("No dead letters match.", err=True)
        return
    if not yes:
        for group in found.groups.listed():
            status = f" {group.status}" if group.status else ""
            cause = f"{group.reason}{status}: {group.cause}".rstrip(": ")
            click.echo(f"{group.count:>8}  {plain(cause)}", err=True)
        click.confirm(f"Discard {counted(number)} for good?", abort=True, err=True)
    begin = begun("discard", what=wanted.told(), why=why, count=number, ids=found.ids)
    gone = at_broker(settings, lambda session: _discard(session, found.keys, begin))
    click.echo(f"{counted(gone)} discarded.", err=True)
    if gone < number:
        click.echo(f"{number - gone} were not there any more.", err=True)
        raise click.exceptions.Exit(FAILED)


@dataclass(slots=True)
class _Chosen:
    """The letters that are meant, without what is in them."""

    keys: set[bytes] = field(default_factory=set)
    ids: list[str] = field(default_factory=list)
    groups: Groups = field(default_factory=Groups)


async def _choose(session: Session, wanted: DeadLetterFilter) -> _Chosen:
    found = _Chosen()
    async for held in selected(session, "discard", wanted):
        found.keys.add(held.letter.key)
        found.ids.append(held.letter.event_id)
        found.groups.add(held.letter)
    return found


async def _discard(session: Session, keys: set[bytes], begin: OperationRecord) -> int:
    async with (
        locked(session, "taskedit dead discard") as queue,
        recorded(session, begin) as operation,
    ):
        gone = await discard(queue, keys)
        operation.result["discarded"] = gone
        return gone
