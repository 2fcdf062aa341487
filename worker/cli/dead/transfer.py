"""`taskedit dead export` and `import`: letters carried away in files, and back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from shutil import copyfileobj
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any, Final

import click

from schemas import Names
from worker.amqp.session import Failure, run
from worker.cli.dead.selection import letter_filter_options, selected
from worker.cli.exits import FAILED
from worker.cli.options import FILES, content
from worker.cli.sessions import at_broker, broker_of, exit_for, read_settings, sentence
from worker.core.message import ConfirmResult
from worker.deadletters.letter import as_delivered, read
from worker.deadletters.queue import locked
from worker.deadletters.render import counted
from worker.deadletters.serialization import letter_in, letter_line
from worker.fleet.operations import begun, recorded
from worker.observability import log

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.amqp.session import Session
    from worker.core.message import Publication
    from worker.deadletters.filter import DeadLetterFilter

MEMORY_AT_MOST: Final = 32 * 1024 * 1024
"""Bytes of exported letters; beyond that they wait in a file."""
UNCONFIRMED_AT_MOST: Final = 500


@click.command(name="export")
@click.argument("ids", metavar="[ID]...", nargs=-1)
@letter_filter_options
@click.option(
    "--output",
    "-o",
    metavar="FILE",
    default="-",
    type=click.Path(dir_okay=False, allow_dash=True),
    help="Where to; standard output without it.",
)
def export(ids: tuple[str, ...], wanted: DeadLetterFilter, output: str) -> None:
    """Write letters as JSON Lines, one a line, body and all; they stay in the queue.

    What is exported and imported again is the same byte for byte.
    """
    wanted = wanted.named(ids)
    # Nothing is printed while letters are held: a pager would block the connection.
    with SpooledTemporaryFile(MEMORY_AT_MOST) as spool:
        number = at_broker(read_settings(), lambda session: _export(session, wanted, spool))
        spool.seek(0)
        try:
            with click.open_file(output, "wb") as file:
                copyfileobj(spool, file)
        except BrokenPipeError:
            raise  # whoever reads has seen enough, and click knows that
        except OSError as error:
            click.echo(f"{output} cannot be written: {error.strerror}.", err=True)
            raise click.exceptions.Exit(FAILED) from None
    click.echo(f"{counted(number)} exported.", err=True)


@click.command(name="import")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=FILES)
@click.option("--why", metavar="TEXT", help="For whoever wonders, next week.")
def import_(files: tuple[str, ...], why: str | None) -> None:
    """Put exported letters into the queue of dead letters, but for those that are there already.

    If any line is bad, nothing is imported. Ends with 1 then, or if RabbitMQ refused a letter.
    """
    settings = read_settings()
    log.configure("error", settings.log_format, no_color=settings.no_color)
    letters = _read(files, Names(settings.namespace))
    if not letters:
        click.echo("Nothing to import.", err=True)
        return
    what = {"files": list(files)}
    progress = _Imported()
    found = run(broker_of(settings), lambda each: _import(each, letters, what, why, progress))
    if progress.known:
        click.echo(f"{counted(progress.known)} there already: not imported again.", err=True)
    wanted = len(letters) - progress.known
    if wanted and progress.is_begun:
        click.echo(f"{counted(progress.confirmed)} of {wanted} imported.", err=True)
    if progress.refused:
        click.echo(f"{counted(progress.refused)} refused by RabbitMQ.", err=True)
    if isinstance(found, Failure):
        if progress.is_begun:
            left = wanted - progress.confirmed - progress.refused
            click.echo(f"{left} were not confirmed; some of them may have arrived.", err=True)
        raise exit_for(found)
    if progress.refused:
        raise click.exceptions.Exit(FAILED)


@dataclass(slots=True)
class _Imported:
    """How far an import has come."""

    is_begun: bool = False
    known: int = 0
    """Letters that were there already."""
    confirmed: int = 0
    refused: int = 0


async def _export(
    session: Session, wanted: DeadLetterFilter, spool: SpooledTemporaryFile[bytes]
) -> int:
    number = 0
    async for held in selected(session, "export", wanted):
        number += 1
        spool.write(letter_line(held.delivery).encode() + b"\n")
    return number


async def _import(
    session: Session,
    letters: Sequence[Publication],
    what: dict[str, Any],
    why: str | None,
    progress: _Imported,
) -> None:
    """Publish, in order and with confirms, the letters that are not in the queue yet."""
    async with locked(session, "taskedit dead import") as queue:
        keys = {held.letter.key async for held in queue.letters()}
        await queue.give_back()
        absent = []
        for one in letters:
            key = read(as_delivered(one), 1).key  # that it will have in the queue
            if key not in keys:
                keys.add(key)
                absent.append(one)
        progress.known = len(letters) - len(absent)
        if not absent:
            return
        async with recorded(
            session, begun("import", what=what, why=why, count=len(absent))
        ) as operation:
            progress.is_begun = True
            channel = await session.publisher()
            for first in range(0, len(absent), UNCONFIRMED_AT_MOST):
                some = absent[first : first + UNCONFIRMED_AT_MOST]
                for result in await asyncio.gather(*map(channel.publish_soon, some)):
                    progress.confirmed += result is ConfirmResult.CONFIRMED
                    progress.refused += result is not ConfirmResult.CONFIRMED
                operation.result |= {"imported": progress.confirmed, "refused": progress.refused}


def _read(files: Sequence[str], names: Names) -> list[Publication]:
    """The letters in the files; the command ends if a line is no letter."""
    letters, bad = [], 0
    for file in files:
        for number, text in enumerate(content(file).split(b"\n"), start=1):
            if not text.strip():
                continue
            letter = letter_in(text, names.dead)
            if isinstance(letter, str):
                bad += 1
                click.echo(f"{file}:{number}: {sentence(letter)}", err=True)
            else:
                letters.append(letter)
    if bad:
        click.echo(f"{len(letters)} good, {bad} bad: nothing was imported.", err=True)
        raise click.exceptions.Exit(FAILED)
    return letters
