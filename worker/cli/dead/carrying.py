"""`taskedit dead export` and `import`: letters carried away in files, and back."""

from __future__ import annotations

from shutil import copyfileobj
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Final

import click

from worker.cli.dead.choice import wanted_options
from worker.cli.dead.looked import looked, now
from worker.cli.exits import FAILED
from worker.cli.options import FILES, content
from worker.cli.sessions import ended, recorded, said, settings_and_broker
from worker.core.message import Delivery
from worker.deadletters.browse import bring
from worker.deadletters.letter import read
from worker.deadletters.render import counted
from worker.deadletters.serialization import letter_in, letter_line
from worker.observability import log

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas import Names
    from worker.core.message import Publication
    from worker.deadletters.filter import DeadLetterFilter
    from worker.deadletters.letter import Letter
    from worker.deadletters.visit import Broker

MEMORY_AT_MOST: Final = 32 * 1024 * 1024
"""Bytes of exported letters; beyond that they wait in a file."""


@click.command(name="export")
@click.argument("ids", metavar="[ID]...", nargs=-1)
@wanted_options
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
    _, broker = settings_and_broker()
    wanted, at, number = wanted.named(ids), now(), 0

    def see(letter: Letter, delivery: Delivery) -> None:
        nonlocal number
        if wanted.takes(letter, at):
            number += 1
            spool.write(letter_line(delivery).encode() + b"\n")

    # Nothing is printed while letters are held: a pager would block the connection.
    with SpooledTemporaryFile(MEMORY_AT_MOST) as spool:
        looked(broker, "export", see)
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
    settings, broker = settings_and_broker()
    log.configure("error", settings.log_format, no_color=settings.no_color)
    letters = _read(files, broker.names)
    if not letters:
        click.echo("Nothing to import.", err=True)
        return
    letters, known = _absent(broker, letters)
    if known:
        click.echo(f"{counted(known)} there already: not imported again.", err=True)
    if not letters:
        return
    what = {"files": list(files)}
    with recorded(broker, "import", what=what, why=why, count=len(letters)) as operation:
        brought = bring(broker, "taskedit dead import", letters)
        operation.result |= {"imported": brought.confirmed, "refused": brought.refused}
        if brought.trouble is not None:
            operation.result["failed"] = brought.trouble.why
    click.echo(f"{counted(brought.confirmed)} of {len(letters)} imported.", err=True)
    if brought.refused:
        click.echo(f"{counted(brought.refused)} refused by RabbitMQ.", err=True)
    if brought.trouble is not None:
        left = len(letters) - brought.confirmed - brought.refused
        click.echo(f"{left} were not confirmed; some of them may have arrived.", err=True)
        raise ended(brought.trouble)
    if brought.refused:
        raise click.exceptions.Exit(FAILED)


def _absent(broker: Broker, letters: Sequence[Publication]) -> tuple[list[Publication], int]:
    """The letters that are not in the queue yet, each once, and how many are."""
    at = now()
    keys: set[bytes] = set()
    looked(broker, "import", lambda letter, _: keys.add(letter.key))
    found = []
    for one in letters:
        lying = Delivery(0, one.exchange, one.routing_key, False, one.properties, one.body, at)  # noqa: FBT003
        key = read(lying, 1).key
        if key not in keys:
            keys.add(key)
            found.append(one)
    return found, len(letters) - len(found)


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
                click.echo(f"{file}:{number}: {said(letter)}", err=True)
            else:
                letters.append(letter)
    if bad:
        click.echo(f"{len(letters)} good, {bad} bad: nothing was imported.", err=True)
        raise click.exceptions.Exit(FAILED)
    return letters
