"""`taskedit dead redrive`: letters sent again, after a repair."""

from __future__ import annotations

import sys
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import click

from worker.amqp.session import run
from worker.cli.dead.render import plan_in_json, plan_in_words, preview_in_words
from worker.cli.dead.selection import history_or_none, letter_filter_options, tell_missing
from worker.cli.exits import FAILED
from worker.cli.options import parsed
from worker.cli.sessions import at_broker, broker_of, exit_for, read_settings
from worker.cli.terminal import progress_bar
from worker.deadletters.canary import Step
from worker.deadletters.history import JobHistory
from worker.deadletters.mend import bounds_for, laid_out, packed, problems
from worker.deadletters.plan import message, planned
from worker.deadletters.queue import locked
from worker.deadletters.redrive import RedriveOptions, RedriveProgress, redrive
from worker.deadletters.render import counted, plain
from worker.fleet.operations import begun, recorded
from worker.observability import log
from worker.settings import texts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from schemas import Bounds, OperationRecord
    from worker.amqp.session import Session
    from worker.core.message import Delivery
    from worker.core.rate_limit import Rate
    from worker.deadletters.filter import DeadLetterFilter
    from worker.deadletters.letter import Letter
    from worker.deadletters.plan import Message, Plan
    from worker.settings import Settings

_PATIENCE: Final = texts.duration(timedelta(milliseconds=100), timedelta(hours=24))


def _share(_: click.Context, __: click.Parameter, text: str) -> float:
    """``10%`` as 0.1."""
    number = text.strip().removesuffix("%")
    if not number.replace(".", "", 1).isdecimal() or not 0 <= float(number) <= 100:  # noqa: PLR2004 (percent)
        raise click.BadParameter("It is not a valid share: write one like 10%.")
    return float(number) / 100


@click.command(name="redrive")
@click.argument("ids", metavar="[ID]...", nargs=-1)
@letter_filter_options
@click.option("--dry-run", is_flag=True, help="Say what would be sent, and send nothing.")
@click.option("--max", "most", type=click.IntRange(1), metavar="N", help="Send at most so many.")
@click.option("--rate", callback=parsed(texts.limits), help="No faster than this, as 20/s,600/m.")
@click.option(
    "--canary",
    type=click.IntRange(1),
    metavar="N",
    help="Send N and wait for their outcomes; then 2N, 4N … while they are applied.",
)
@click.option(
    "--stop-at",
    default="10%",
    show_default=True,
    callback=_share,
    help="With --canary: the share of rejected edits in a step that ends it.",
)
@click.option(
    "--patience",
    metavar="TIME",
    default="60s",
    show_default=True,
    callback=parsed(_PATIENCE),
    help="With --canary: how long to wait for the next outcome.",
)
@click.option("--edit", is_flag=True, help="Mend each in $EDITOR; it is checked before it is sent.")
@click.option(
    "--even-if-superseded",
    is_flag=True,
    help="Send also what a newer edit of the same job has been applied after.",
)
@click.option("--why", metavar="TEXT", help="For whoever wonders, next week.")
@click.option("--all", "everything", is_flag=True, help="Every letter; --yes says so too.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON object.")
def command(  # noqa: PLR0913, PLR0917 - an argument an option
    ids: tuple[str, ...],
    wanted: DeadLetterFilter,
    most: int | None,
    rate: tuple[Rate, ...] | None,
    canary: int | None,
    stop_at: float,
    patience: timedelta,
    why: str | None,
    *,
    dry_run: bool,
    edit: bool,
    even_if_superseded: bool,
    everything: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Send letters again, each back to its own lane; of an unknown app, to the exchange.

    A letter is taken out once RabbitMQ has confirmed it in its lane: a kill at any point loses
    none. Letters that died after this command began are left.

    Without ids, filters or --max every letter is meant: it asks first on a terminal, and needs
    --all or --yes elsewhere.

    Ends with 0 when all that were meant are sent, and with --canary applied; with 1 otherwise.
    """
    wanted = wanted.named(ids)
    is_narrowed = not wanted.is_everything or most is not None
    to_ask = not (is_narrowed or everything or yes or dry_run)
    if to_ask and not sys.stdin.isatty():
        raise click.UsageError(
            "That would send every dead letter again: name some by ids or options, or give --all."
        )
    settings = read_settings()
    log.configure("error", settings.log_format, no_color=settings.no_color)
    preview = at_broker(settings, lambda session: _preview(session, wanted, bodies=edit))
    mended = _mended(preview, settings) if edit else {}
    plan = planned(
        preview.letters,
        preview.history,
        preview.newest,
        most=most,
        even_if_superseded=even_if_superseded,
        mended=mended,
    )
    if not as_json:
        _say(preview_in_words(plan, len(preview.letters), dry_run=dry_run))
    if dry_run or not plan.moves:
        if as_json:
            click.echo(plan_in_json(plan, len(preview.letters), None))
        return
    if to_ask:
        click.confirm(f"Send all of them again, {counted(plan.sends)}?", abort=True, err=True)
    sent = {move.key for move in plan.moves if move.redrives is not None}
    begin = begun(
        "mend" if edit else "redrive",
        what=wanted.told(),
        why=why,
        count=plan.sends,
        ids=(one.event_id for one in preview.letters if one.key in sent),
    )
    pace = RedriveOptions(
        rates=rate or (),
        canary=Step(canary, stop_at) if canary else None,
        patience=patience.total_seconds(),
        hold=settings.hold.total_seconds(),
    )
    progress = RedriveProgress()
    failure = run(
        broker_of(settings),
        lambda session: _redrive(session, plan, pace, begin, progress),
        graceful=True,
    )
    if failure is None or progress != RedriveProgress():
        if as_json:
            click.echo(plan_in_json(plan, len(preview.letters), progress))
        else:
            _say(plan_in_words(plan, progress))
    if failure is not None:
        raise exit_for(failure)
    if not progress.is_good:
        raise click.exceptions.Exit(FAILED)


@dataclass(frozen=True, slots=True)
class RedrivePreview:
    """The letters that are meant, with all that decides what becomes of them."""

    letters: list[Letter]
    newest: dict[Message, int]
    """The highest redrive count of the dead letters of each message, meant or not."""
    history: JobHistory
    bodies: dict[bytes, Delivery]
    """By the key of the letter, where they were asked for."""


async def _preview(session: Session, wanted: DeadLetterFilter, *, bodies: bool) -> RedrivePreview:
    """Look at the letters and into the journal; no letter is held when this returns."""
    letters: list[Letter] = []
    deliveries: dict[bytes, Delivery] = {}
    newest: dict[Message, int] = defaultdict(int)
    now = datetime.now(UTC)
    async with locked(session, "taskedit dead redrive") as queue:
        async for held in queue.letters():
            of = message(held.letter)
            newest[of] = max(newest[of], held.letter.redrives)
            if wanted.takes(held.letter, now):
                letters.append(held.letter)
                if bodies:
                    deliveries.setdefault(held.letter.key, held.delivery)
    tell_missing(queue)
    without = "Whether a newer edit of a job has been applied cannot be told."
    history = await history_or_none(session, letters, without)
    return RedrivePreview(letters, newest, history or JobHistory.of(letters), deliveries)


async def _redrive(
    session: Session,
    plan: Plan,
    pace: RedriveOptions,
    begin: OperationRecord,
    progress: RedriveProgress,
) -> None:
    async with (
        locked(session, "taskedit dead redrive") as queue,
        recorded(session, begin) as operation,
        progress_bar("Redriven", len(plan.moves), progress),
    ):
        try:
            await redrive(session, queue, plan.moves, pace, progress)
        finally:
            operation.result |= progress.counts()


def _mended(preview: RedrivePreview, settings: Settings) -> dict[bytes, bytes]:
    """The bodies as the operator leaves them, by the keys of their letters."""
    letters = {one.key: one for one in preview.letters}
    return {
        key: edited(letter, preview.bodies[key], bounds_for(letter, settings))
        for key, letter in letters.items()
    }


def edited(letter: Letter, delivery: Delivery, bounds: Bounds) -> bytes:
    """The body as the operator leaves it, once the worker would take it.

    The command ends if it is left as it was, or bad and there is nobody to ask.
    """
    text = before = laid_out(delivery.body)
    while True:
        found = click.edit(text, extension=".json", require_save=False)
        if found is None or found.strip() == before.strip():
            click.echo(f"{letter.name} was left as it is: nothing is sent.", err=True)
            raise click.exceptions.Exit(FAILED)
        text, body = found, packed(found)
        wrong = problems(letter, delivery, bounds, body)
        if wrong is None:
            return body
        detail, fields = wrong
        for line in [f"{field.field}: {field.problem}" for field in fields] or [detail]:
            click.echo(plain(line), err=True)
        if not sys.stdin.isatty() or not click.confirm("Edit it again?", default=True, err=True):
            click.echo("Nothing is sent.", err=True)
            raise click.exceptions.Exit(FAILED)


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line, err=True)
