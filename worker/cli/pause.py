"""`taskedit pause`: no calls for an account, in the whole fleet, until it is resumed."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import click

from schemas import ControlEntry, read_control_entry
from worker.amqp.session import Broker, ChannelClosedError, Failure, FailureKind, SessionError, run
from worker.cli import configured
from worker.cli.exits import ABSENT, AGAIN, DONE, FAILED
from worker.cli.parsed import parsed
from worker.core.pause import Pauses
from worker.fleet.operations import CONTROL_TYPE, actor, recorded, write
from worker.fleet.watch import BEAT_EVERY, Fleet, ask_for_beats
from worker.letters.words import moment
from worker.settings import texts

if TYPE_CHECKING:
    from typing import Literal

    from worker.amqp.session import Session, Subscription

_DURATION = texts.duration(timedelta(seconds=1), timedelta(days=366))
ANSWERS_WITHIN: Final = BEAT_EVERY + 3.0
_EXITS: Final = {
    FailureKind.ABSENT: ABSENT,
    FailureKind.NO_STREAM: ABSENT,
    FailureKind.BUSY: AGAIN,
}


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

    Ends with 0 when the workers have taken it; 75 when none answers (it is written down, and holds
    for whoever starts later); 69 when RabbitMQ or its control stream is not there.
    """
    until = None if period is None else datetime.now(UTC) + period
    ctx.exit(carried_out("pause", account, why, until))


def carried_out(
    action: Literal["pause", "resume"], account: str, why: str | None, until: datetime | None = None
) -> int:
    """Write an operator's wish down, wait until the workers have taken it; the exit code."""
    settings = configured.settings(accounts_wanted=False, secrets_wanted=False)
    broker = Broker.of(settings, version("task-edit-worker"))
    ended = run(broker, lambda session: _asked(session, action, account, why, until))
    if isinstance(ended, Failure):
        click.echo(f"{ended.why[:1].upper()}{ended.why[1:].rstrip('.')}.", err=True)
        return _EXITS.get(ended.kind, FAILED)
    return ended


async def _asked(
    session: Session,
    action: Literal["pause", "resume"],
    account: str,
    why: str | None,
    until: datetime | None,
) -> int:
    await _has_lane(session, account)
    beats = await session.events(session.names.fleet)
    before = await _before(session, account)
    entry = ControlEntry(
        id=str(uuid4()),
        action=action,
        account=account,
        actor=actor(),
        user=session.user,
        via="cli",
        why=why,
        at=datetime.now(UTC),
        until=until,
    )
    what = {"account": account, "until": until}
    async with recorded(session, action, what=what, why=why) as operation:
        await write(session, session.names.control, CONTROL_TYPE, entry)
        if before is not None:
            click.echo(f"This replaces a pause by {_told(before)}.", err=True)
        answered = await _heeded(session, beats, entry)
        operation.result["replicas"] = answered
    return _said(entry, answered)


async def _heeded(session: Session, beats: Subscription, entry: ControlEntry) -> list[str]:
    """The replicas that have taken the entry, once nobody else can be calling."""
    loop = asyncio.get_running_loop()
    began, fleet = loop.time(), Fleet()
    await ask_for_beats(session)
    while (left := began + ANSWERS_WITHIN - loop.time()) > 0:
        delivery = await beats.within(left)
        if delivery is None:
            break
        fleet.hear(delivery.body, loop.time())
        said = fleet.of(entry.account, loop.time())
        if any(lane.serving and lane.control == entry.id for _, lane in said):
            break
        heard_all = loop.time() - began > BEAT_EVERY + 0.5
        if said and heard_all and all(lane.control == entry.id for _, lane in said):
            break
    said = fleet.of(entry.account, loop.time())
    return [name for name, lane in said if lane.control == entry.id]


def _said(entry: ControlEntry, answered: list[str]) -> int:
    done = "paused" if entry.action == "pause" else "resumed"
    if not answered:
        click.echo(
            f"No worker answered. It is written down: {entry.account} is {done} for every worker"
            " that can read the control stream. See `taskedit lanes`.",
            err=True,
        )
        return AGAIN
    end = f" until {moment(entry.until)}" if entry.until else ""
    click.echo(f"{entry.account} is {done}{end} (answered: {', '.join(answered)}).")
    return DONE


async def _has_lane(session: Session, account: str) -> None:
    """Make sure that the account means something before anything is written down."""
    queue = session.names.lane(account)
    channel = await session.channel()
    try:
        await channel.counts(queue)
    except ChannelClosedError as error:
        if error.code is None or error.failure.kind is not FailureKind.ABSENT:
            raise
        raise SessionError(
            FailureKind.FAILED, f"there is no account {account!r}: RabbitMQ has no queue {queue}"
        ) from None
    channel.close()


async def _before(session: Session, account: str) -> ControlEntry | None:
    """The pause that holds for the account now."""
    pauses = Pauses()
    async for delivery in session.stream(session.names.control, "first"):
        entry = read_control_entry(delivery.body)
        if entry is not None:
            pauses.hear(entry)
    return pauses.of(account, datetime.now(UTC))


def _told(entry: ControlEntry) -> str:
    why = f": {entry.why}" if entry.why else ""
    return f"{entry.actor} since {moment(entry.at)}{why}"
