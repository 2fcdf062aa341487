"""`taskedit pause`: no calls for an account, in the whole fleet, until it is resumed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from worker.cli.exits import AGAIN, DONE
from worker.cli.options import parsed
from worker.cli.sessions import at_broker, read_settings
from worker.deadletters.render import moment
from worker.fleet.control import ordered
from worker.fleet.operations import local_actor
from worker.settings import texts

if TYPE_CHECKING:
    from typing import Literal

    from schemas import ControlEntry
    from worker.amqp.session import Session

_DURATION = texts.duration(timedelta(seconds=1), timedelta(days=366))


@click.command(name="pause")
@click.argument("account")
@click.option("--why", required=True, metavar="TEXT", help="For whoever wonders, next week.")
@click.option(
    "--for",
    "period",
    metavar="TIME",
    callback=parsed(_DURATION),
    help="End by itself after so long, as 2h; else it lasts until `taskedit resume`.",
)
@click.pass_context
def command(ctx: click.Context, account: str, why: str, period: timedelta | None) -> None:
    """Stop calls for an account by hand, for the whole fleet.

    No call starts once this has returned; those in flight are settled, and the account's edits
    wait in RabbitMQ. A pause outlives restarts of everything.

    Ends with 0 when the workers have taken it; 75 when none answers, or one that may be calling
    does not (it is written down, and holds for whoever reads it later); 69 when RabbitMQ or its
    control stream is not there.
    """
    until = None if period is None else datetime.now(UTC) + period
    ctx.exit(carry_out("pause", account, why, until))


def carry_out(
    action: Literal["pause", "resume"], account: str, why: str | None, until: datetime | None = None
) -> int:
    """Write an operator's wish down, wait until the workers have taken it; the exit code."""
    return at_broker(read_settings(), lambda session: _order(session, action, account, why, until))


async def _order(
    session: Session,
    action: Literal["pause", "resume"],
    account: str,
    why: str | None,
    until: datetime | None,
) -> int:
    done = await ordered(
        session, action, account, actor=local_actor(), via="cli", why=why, until=until
    )
    if done.replaced is not None:
        click.echo(f"This replaces a pause by {_in_words(done.replaced)}.", err=True)
    return _print_result(done.entry, done.replicas)


def _print_result(entry: ControlEntry, answered: tuple[str, ...]) -> int:
    done = "paused" if entry.action == "pause" else "resumed"
    if not answered:
        click.echo(
            "No worker answered, or not all that may be calling. It is written down:"
            f" {entry.account} is {done} for every worker that can read the control stream."
            " See `taskedit lanes`.",
            err=True,
        )
        return AGAIN
    end = f" until {moment(entry.until)}" if entry.until else ""
    click.echo(f"{entry.account} is {done}{end} (answered: {', '.join(answered)}).")
    return DONE


def _in_words(entry: ControlEntry) -> str:
    why = f": {entry.why}" if entry.why else ""
    return f"{entry.actor} since {moment(entry.at)}{why}"
