"""`taskedit dead show`: everything known of a letter, and what can be done about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from worker.cli.dead.checked import bounds_for, problems
from worker.cli.dead.choice import wanted_options
from worker.cli.dead.looked import looked, now
from worker.cli.dead.render import LetterReport, report_in_json, report_in_words
from worker.cli.exits import FAILED
from worker.cli.sessions import ended, said, settings_and_broker
from worker.deadletters.history import JobHistory
from worker.deadletters.journal import remember
from worker.deadletters.visit import VisitFailureKind

if TYPE_CHECKING:
    from schemas import Event
    from worker.core.message import Delivery
    from worker.deadletters.filter import DeadLetterFilter
    from worker.deadletters.letter import Letter


@click.command(name="show")
@click.argument("ids", metavar="[ID]...", nargs=-1)
@wanted_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for each letter.")
@click.option(
    "--max",
    "most",
    type=click.IntRange(1),
    metavar="N",
    default=100,
    show_default=True,
    help="Show the first N at most.",
)
@click.option("--no-journal", is_flag=True, help="Do not read what the journal knows of the job.")
def command(
    ids: tuple[str, ...], wanted: DeadLetterFilter, most: int, *, as_json: bool, no_journal: bool
) -> None:
    """Show letters: why they died, what they say, what became of their job, what to do.

    ID is a message id, the id of a rejected event, or a place in the queue as '#3'. Without any
    all letters are shown that the options want. Ends with 1 if there is none.
    """
    settings, broker = settings_and_broker()
    wanted, at = wanted.named(ids), now()
    found: list[tuple[Letter, Delivery]] = []
    number = 0

    def see(letter: Letter, delivery: Delivery) -> None:
        nonlocal number
        if wanted.takes(letter, at):
            number += 1
            if number <= most:
                found.append((letter, delivery))

    looked(broker, "show", see)
    if not found:
        click.echo("No dead letters match.", err=True)
        raise click.exceptions.Exit(FAILED)
    letters = [letter for letter, _ in found]
    past = JobHistory.of(letters)
    events: list[Event] = []
    knows = not no_journal
    if knows and (trouble := remember(broker, past, letters, events.append)) is not None:
        if trouble.kind is not VisitFailureKind.NO_STREAM:
            raise ended(trouble)
        knows = False
        click.echo(f"{said(trouble.why)} Nothing is known of the jobs.", err=True)
    for letter, delivery in found:
        bounds = bounds_for(letter, settings)
        portrait = LetterReport(
            letter,
            delivery,
            problems(letter, delivery, bounds),
            past.standing(letter) if knows else None,
            [one for one in events if one.data.jobId == letter.head.job_id] if knows else None,
        )
        for line in (report_in_json(portrait),) if as_json else report_in_words(portrait, at):
            click.echo(line)
    if number > most:
        click.echo(f"{number - most} more match: --max shows more of them.", err=True)
