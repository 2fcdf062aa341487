"""`taskedit dead show`: everything known of a letter, and what can be done about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import click

from worker.cli.audit import operations_if_any
from worker.cli.dead.render import LetterReport, report_in_json, report_in_words
from worker.cli.dead.selection import history_or_none, letter_filter_options, selected
from worker.cli.exits import FAILED
from worker.cli.sessions import at_broker, read_settings
from worker.cli.terminal import width
from worker.deadletters.letter import earlier_events
from worker.deadletters.mend import bounds_for, problems
from worker.fleet.operations import by_event

if TYPE_CHECKING:
    from schemas import Event
    from worker.amqp.session import Session
    from worker.core.message import Delivery
    from worker.deadletters.filter import DeadLetterFilter
    from worker.deadletters.history import JobHistory
    from worker.deadletters.letter import Letter
    from worker.fleet.operations import Entry

MEND_MANY: Final = (
    "Many at once: a script as EDITOR is given each in turn.\n"
    "  EDITOR=./mend.sh taskedit dead redrive --edit --canary 5"
)


@click.command(name="show")
@click.argument("ids", metavar="[ID]...", nargs=-1)
@letter_filter_options
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
    settings, at = read_settings(), datetime.now(UTC)
    wanted = wanted.named(ids)
    found = at_broker(settings, lambda each: _find(each, wanted, most, journal=not no_journal))
    if not found.letters:
        click.echo("No dead letters match.", err=True)
        raise click.exceptions.Exit(FAILED)
    for letter, delivery in found.letters:
        history, events = found.history, None
        if history is not None:
            events = [one for one in found.events if one.data.jobId == letter.head.job_id]
        report = LetterReport(
            letter,
            delivery,
            problems(letter, delivery, bounds_for(letter, settings)),
            None if history is None else history.standing(letter),
            events,
            _sent_again(letter, found),
        )
        columns = width()
        for line in (report_in_json(report),) if as_json else report_in_words(report, at, columns):
            click.echo(line)
    if found.beyond:
        click.echo(f"{found.beyond} more match: --max shows more of them.", err=True)
    if len(found.letters) > 1 and not as_json:
        click.echo(MEND_MANY, err=True)


@dataclass(slots=True)
class _Found:
    letters: list[tuple[Letter, Delivery]] = field(default_factory=list)
    beyond: int = 0
    """How many more match."""
    history: JobHistory | None = None
    events: list[Event] = field(default_factory=list)
    """Of the letters' jobs."""
    operations: dict[str, list[Entry]] = field(default_factory=dict)
    """What operators did to letters, by the ids of their events."""


def _sent_again(letter: Letter, found: _Found) -> list[Entry]:
    """The operations by which the letter's message was sent again, first to last."""
    events = earlier_events(letter) | {
        event.id
        for event in found.events
        if event.data.messageId == letter.head.message_id is not None
    }
    entries = {
        entry.begun.id: entry for event_id in events for entry in found.operations.get(event_id, ())
    }
    return sorted(entries.values(), key=lambda entry: entry.begun.at)


async def _find(session: Session, wanted: DeadLetterFilter, most: int, *, journal: bool) -> _Found:
    found = _Found()
    async for held in selected(session, "show", wanted):
        if len(found.letters) < most:
            found.letters.append((held.letter, held.delivery))
        else:
            found.beyond += 1
    if journal and found.letters:
        letters = [letter for letter, _ in found.letters]
        without = "Nothing is known of the jobs."
        found.history = await history_or_none(session, letters, without, found.events)
    if any(letter.redrives for letter, _ in found.letters):
        found.operations = by_event(await operations_if_any(session))
    return found
