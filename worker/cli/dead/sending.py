"""`taskedit dead redrive`: letters sent again, after a repair."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import click

from worker.cli.dead.choice import wanted_options
from worker.cli.dead.render import RedrivePreview, outlook_in_words, plan_in_json, plan_in_words
from worker.cli.exits import FAILED
from worker.cli.options import parsed
from worker.cli.sessions import ended, recorded, settings_and_broker
from worker.cli.terminal import bar
from worker.deadletters.canary import RedriveOptions
from worker.deadletters.plan import Step
from worker.deadletters.redrive import Redrive
from worker.deadletters.render import counted
from worker.observability import log
from worker.settings import texts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from worker.core.rate_limit import Rate
    from worker.deadletters.canary import RedriveProgress
    from worker.deadletters.filter import DeadLetterFilter
    from worker.deadletters.plan import Plan
    from worker.deadletters.visit import Broker
    from worker.fleet.operations import Operation

_PATIENCE: Final = texts.duration(timedelta(milliseconds=100), timedelta(hours=24))


def _share(_: click.Context, __: click.Parameter, text: str) -> float:
    """``10%`` as 0.1."""
    number = text.strip().removesuffix("%")
    if not number.replace(".", "", 1).isdecimal() or not 0 <= float(number) <= 100:  # noqa: PLR2004 (percent)
        raise click.BadParameter("It is not a valid share: write one like 10%.")
    return float(number) / 100


@click.command(name="redrive")
@click.argument("ids", metavar="[ID]...", nargs=-1)
@wanted_options
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
    chosen = not wanted.is_everything or most is not None
    to_ask = not (chosen or everything or yes or dry_run)
    if to_ask and not sys.stdin.isatty():
        raise click.UsageError(
            "That would send every dead letter again: name some by ids or options, or give --all."
        )
    settings, broker = settings_and_broker()
    log.configure("error", settings.log_format, no_color=settings.no_color)
    outlook = RedrivePreview.of(broker, settings, wanted, edit=edit)
    plan = outlook.plan(most=most, even_if_superseded=even_if_superseded)
    if not as_json:
        _say(outlook_in_words(plan, len(outlook.letters), dry_run=dry_run))
    pace = RedriveOptions(
        rates=rate or (),
        canary=Step(canary, stop_at) if canary else None,
        patience=patience.total_seconds(),
        hold=settings.hold.total_seconds(),
    )
    if dry_run or not plan.moves:
        if as_json:
            click.echo(plan_in_json(plan, len(outlook.letters), None))
        return
    if to_ask:
        click.confirm(f"Send all of them again, {counted(plan.sends)}?", abort=True, err=True)
    sent = {move.key for move in plan.moves if move.redrives is not None}
    with recorded(
        broker,
        "mend" if edit else "redrive",
        what=wanted.told(),
        why=why,
        count=plan.sends,
        ids=tuple(one.event_id or "" for one in outlook.letters if one.key in sent),
    ) as operation:
        done = _redriven(
            broker, plan, pace, operation, as_json=as_json, wanted=len(outlook.letters)
        )
    if not done.is_good:
        raise click.exceptions.Exit(FAILED)


def _redriven(
    broker: Broker,
    plan: Plan,
    pace: RedriveOptions,
    operation: Operation,
    *,
    as_json: bool,
    wanted: int,
) -> RedriveProgress:
    redrive = Redrive(broker, "taskedit dead redrive", plan.moves, pace)
    with bar("Redriven", len(plan.moves)) as show:
        trouble = redrive.run(lambda done: show(done.moved))
    operation.result |= {name: count for name, count in asdict(redrive.done).items() if count}
    if trouble is not None:
        operation.result["failed"] = trouble.why
    if as_json:
        click.echo(plan_in_json(plan, wanted, redrive.done))
    else:
        _say(plan_in_words(plan, redrive.done))
    if trouble is not None:
        raise ended(trouble)
    return redrive.done


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line, err=True)
