"""`taskedit lanes`: every account over the whole fleet, whichever replica serves it.

Other commands learn here what the workers say of their lanes.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any, Final

import click
from pydantic_core import to_json

from schemas.names import ACCOUNT_HEADER
from worker.amqp import admin
from worker.amqp.session import (
    ChannelClosedError,
    Failure,
    FailureKind,
    SessionError,
    run,
)
from worker.cli.exits import AGAIN, DONE
from worker.cli.sessions import broker_of, exit_for, read_settings
from worker.cli.terminal import width
from worker.core.rendezvous import spreads
from worker.deadletters.queue import locked
from worker.deadletters.render import age, columns, fitted, plain, stamp
from worker.fleet.watch import (
    BEAT_EVERY,
    Fleet,
    allowed,
    ask_for_beats,
    gather,
    seconds_left,
)

if TYPE_CHECKING:
    from schemas import LaneBeat
    from worker.amqp.session import DeliveryStream, Session

ANSWERS_WITHIN: Final = 1.5
"""Seconds in which workers that were asked for a heartbeat have sent one."""
REDRAW_EVERY: Final = 1.0
LETTERS_AT_MOST: Final = 20_000
"""More dead letters than these are not looked through."""
LaneFacts = dict[str, Any]
"""What is told of an account: its `state`, and perhaps `why`, `api_status`, `since` …"""
PATIENCE: Final = 2.0
"""Seconds; the ops address answers at once or not at all."""
_LARGEST: Final = 16 * 1024 * 1024
_ANYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (asked, not listened on)
_MARKS: Final = {"running": "●", "throttled": "◐", "suspended": "✖", "paused": "‖"}
_HOME_AND_CLEAR: Final = "\x1b[H\x1b[J"


@dataclass(frozen=True, slots=True)
class Row:
    """One account, as the fleet and RabbitMQ tell of it."""

    account: str
    replica: str | None
    """Who serves it; None when nobody does."""
    lane: LaneBeat
    waiting: int | None
    """Edits in RabbitMQ that wait or are held; None when the queue cannot be seen."""
    dead: int | None
    """Its dead letters; None when somebody else is at them, or they are too many to look at."""
    favourite: str | None = None
    """Who serves it on RabbitMQ 4.0 to 4.2, once all that another holds is settled."""

    @property
    def rate_allowed(self) -> float | None:
        """Calls a second that its limits allow for long; None if that is no number."""
        return allowed(self.lane.rate_allowed)

    @property
    def seconds_left(self) -> float | None:
        """How long what waits takes at that rate; None while nothing goes out."""
        return seconds_left(self.waiting, self.rate_allowed, self.lane.state)


@click.command(name="lanes")
@click.option("--watch", is_flag=True, help="Go on, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="A line of JSON an account.")
@click.pass_context
def command(ctx: click.Context, *, watch: bool, as_json: bool) -> None:
    """Show every account over the whole fleet: its state and why, its rate, and what waits.

    Workers tell by their heartbeats, RabbitMQ by its queues. While dead letters are counted, at
    each change of their number, a command of `taskedit dead` ends with 75. Ends with 75 when no
    worker answers, 69 when RabbitMQ is not there.
    """
    found = run(
        broker_of(read_settings()), lambda session: _shown(session, watch=watch, as_json=as_json)
    )
    if not isinstance(found, Failure):
        ctx.exit(found)
    if found.kind is FailureKind.STOPPED:
        ctx.exit(DONE)
    raise exit_for(found)


async def _shown(session: Session, *, watch: bool, as_json: bool) -> int:
    loop = asyncio.get_running_loop()
    counts: Counter[str] | None = Counter()
    looked_at: int | None = 0
    beats, fleet = await heard(session)
    if not fleet.replicas:
        await gather(beats, fleet, loop.time() + BEAT_EVERY)
    while True:
        dead = await admin.ready(session, session.names.dead)
        if dead != looked_at:
            counts, looked_at = await _dead(session, dead), dead
        rows = [await row_of(session, fleet, account, counts) for account in fleet.accounts]
        _print(fleet, rows, dead, watch=watch, as_json=as_json)
        if not watch:
            return DONE if fleet.replicas else AGAIN
        await gather(beats, fleet, loop.time() + REDRAW_EVERY)


async def heard(session: Session) -> tuple[DeliveryStream, Fleet]:
    """The workers that answer at once, and what they send from then on.

    Raises `SessionError` where there is nothing to hear them by.
    """
    try:
        beats = await session.events(session.names.fleet)
    except ChannelClosedError as error:
        if error.failure.kind is not FailureKind.ABSENT or error.code is None:
            raise
        raise SessionError(
            FailureKind.ABSENT,
            f"there is no exchange {session.names.fleet}: a worker of this version declares it",
        ) from None
    fleet = Fleet()
    await ask_for_beats(session)
    await gather(beats, fleet, asyncio.get_running_loop().time() + ANSWERS_WITHIN)
    return beats, fleet


async def row_of(session: Session, fleet: Fleet, account: str, letters: Counter[str] | None) -> Row:
    """An account that the fleet speaks of, with what waits in RabbitMQ."""
    now = asyncio.get_running_loop().time()
    said = fleet.of(account, now)
    ready = await admin.ready(session, session.names.lane(account))
    dead = None if letters is None else letters[account]
    if not said:  # every replica that knew of it has fallen silent
        last = next(
            one.beat.accounts[account]
            for one in fleet.replicas.values()
            if account in one.beat.accounts
        )
        return Row(account, None, last, ready, dead)
    name, lane = said[0]
    waiting = None if ready is None else ready + (lane.held if lane.serving else 0)
    favourite = fleet.favourite(account, now) if spreads(session.version) else None
    return Row(account, name if lane.serving else None, lane, waiting, dead, favourite)


async def _dead(session: Session, ready: int | None) -> Counter[str] | None:
    """The dead letters of each account, by one look at all of them."""
    counts: Counter[str] = Counter()
    if ready is None or ready > LETTERS_AT_MOST:
        return None

    try:
        async with locked(session, "taskedit lanes") as queue:
            async for delivery, _ in queue.take():
                counts[delivery.properties.headers.text(ACCOUNT_HEADER) or ""] += 1
    except SessionError as error:
        if error.failure.kind is FailureKind.ABSENT:
            raise
        return None
    return counts


def _print(fleet: Fleet, rows: list[Row], dead: int | None, *, watch: bool, as_json: bool) -> None:
    if as_json:
        for row in rows:
            click.echo(to_json(in_json(row)))
        return
    if watch and sys.stdout.isatty():
        click.echo(_HOME_AND_CLEAR, nl=False)
    now, room = asyncio.get_running_loop().time(), width()
    for line in in_words(fleet, rows, dead, datetime.now(UTC), now, room):
        click.echo(line)


def in_json(row: Row) -> dict[str, Any]:
    """One line of ``--json``."""
    lane = row.lane
    paused = lane.paused
    return {
        "account": row.account,
        "state": lane.state,
        "why": lane.why,
        "api_status": lane.api_status,
        "since": stamp(lane.since),
        "until": stamp(lane.until),
        "paused": None
        if paused is None
        else {"by": paused.by, "why": paused.why, "until": stamp(paused.until)},
        "rate_allowed": row.rate_allowed,
        "rate_used": lane.rate_used,
        "waiting": row.waiting,
        "seconds_left": row.seconds_left,
        "dead": row.dead,
        "last_success": stamp(lane.last_success),
        "replica": row.replica,
        "favourite": row.favourite,
    }


def in_words(
    fleet: Fleet,
    rows: list[Row],
    dead: int | None,
    wall: datetime,
    now: float,
    room: int | None = None,
) -> list[str]:
    """Accounts, replicas and dead letters as lines for people, no wider than `room`."""
    if not fleet.replicas:
        return ["No worker answers. Is one running, on this RabbitMQ and in this namespace?"]
    head = ("account", "state", "rate", "waiting", "left", "dead", "success", "replica")
    table = [head, *(_cells(row, wall) for row in rows)]
    lines = list(columns(table, frozenset((3, 4, 5)), room))
    lines += [f"{row.account}: {_why(row)}" for row in rows if _why(row)]
    for name, one in sorted(fleet.replicas.items()):
        served = sum(lane.serving for lane in one.beat.accounts.values())
        why = "" if one.beat.why is None else f"; not ready: {one.beat.why}"
        lines.append(f"replica {name} ({one.beat.version}) serves {served}{why}")
    for name, seconds in fleet.silent(now):
        lines.append(f"replica {name} is silent for {seconds:.0f} s")
    for name, by in fleet.clocks_apart:
        far = timedelta(seconds=round(abs(by)))
        said = f"{far} {'ahead of' if by > 0 else 'behind'} this machine's"
        lines.append(f"replica {name}: its clock is {said}; set whichever is wrong")
    lines.append("dead letters: " + ("not to be seen" if dead is None else str(dead)))
    return [part for line in lines for part in fitted(plain(line), room)]


def _cells(row: Row, wall: datetime) -> tuple[str, ...]:
    lane = row.lane
    left = row.seconds_left
    then = "" if row.favourite in {None, row.replica} else f", then {row.favourite}"
    return (
        row.account,
        f"{_MARKS.get(lane.state, '?')} {lane.state}",
        f"{lane.rate_used:.1f} of {lane.rate_allowed}",
        "?" if row.waiting is None else str(row.waiting),
        "-" if left is None else str(timedelta(seconds=round(left))),
        "?" if row.dead is None else str(row.dead),
        "-" if lane.last_success is None else f"{age(lane.last_success, wall)} ago",
        (row.replica or "nobody") + then,
    )


def _why(row: Row) -> str:
    lane = row.lane
    if lane.paused is not None:
        end = f", until {stamp(lane.paused.until)}" if lane.paused.until else ""
        why = f": {lane.paused.why}" if lane.paused.why else ""
        return f"paused by {lane.paused.by} since {stamp(lane.paused.since)}{end}{why}"
    if lane.why is None:
        return ""
    return f"{lane.why} (since {stamp(lane.since)})"


# For other commands


def lanes_at(address: tuple[str, int]) -> dict[str, LaneFacts] | None:
    """What `/lanes` tells of each account; None when no worker answers at that address."""
    host, port = address
    connection = HTTPConnection(_ANYWHERE.get(host, host), port, timeout=PATIENCE)
    with closing(connection):
        try:
            connection.request("GET", "/lanes")
            found = json.loads(connection.getresponse().read(_LARGEST))
        except (OSError, HTTPException, ValueError):
            return None
    is_lanes = isinstance(found, dict) and all(
        isinstance(lane, dict) and "state" in lane for lane in found.values()
    )
    return found if is_lanes else None


async def fleet_lanes(session: Session) -> dict[str, LaneFacts]:
    """What the workers' heartbeats tell of each account; of none where nobody can hear them."""
    try:
        _, fleet = await heard(session)
    except SessionError:
        return {}
    now = asyncio.get_running_loop().time()
    said = {account: fleet.of(account, now) for account in fleet.accounts}
    return {account: lanes[0][1].model_dump(mode="json") for account, lanes in said.items()}


def why_stopped(lane: LaneFacts) -> str | None:
    """Why a lane sends nothing, as the rest of a sentence; None when it runs."""
    if lane["state"] == "running":
        return None
    status = f" ({lane['api_status']})" if lane.get("api_status") else ""
    why = f": {lane['why']}{status}" if lane.get("why") else ""
    since = f" since {lane['since']}" if lane.get("since") else ""
    return f"is {lane['state']}{since}{why}"
