"""`taskedit history`: what happened to edits, from the journal. `watch` has the same filter."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import wraps
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Final, TypeVar

import click
from pydantic import ValidationError

from schemas import OUTCOMES, Reason, read_event
from schemas.document import printable
from worker.amqp.session import SessionError, run
from worker.cli.audit import done_by, operations_if_any
from worker.cli.lanes import heard, row_of
from worker.cli.options import parsed
from worker.cli.sessions import broker_of, exit_for, read_settings, sentence
from worker.cli.terminal import width
from worker.deadletters.history import MARGIN
from worker.deadletters.render import counted, fitted, moment
from worker.fleet.operations import by_event
from worker.settings import texts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from schemas import Event
    from worker.amqp.session import Offset, Session


Result = TypeVar("Result")
_AGO: Final = texts.duration(timedelta(0), timedelta(days=3650))
_DAYS: Final = {"today": timedelta(0), "yesterday": timedelta(days=1)}
_LIKE: Final = "15m, 2h, yesterday, 2026-11-20 or 2026-11-22T08:00:00Z"
_NO_ACCOUNT: Final = "-"


@dataclass(frozen=True, slots=True)
class EventFilter:
    """An event is wanted if it is one of each list that is not empty, and of that time."""

    jobs: frozenset[int] = frozenset()
    accounts: frozenset[str] = frozenset()
    apps: frozenset[str] = frozenset()
    outcomes: frozenset[str] = frozenset()
    reasons: frozenset[str] = frozenset()
    message_ids: frozenset[str] = frozenset()
    since: datetime | None = None
    until: datetime | None = None

    @property
    def offset(self) -> Offset | None:
        """Where the journal is to be read from; None without a time to begin at."""
        return None if self.since is None else self.since - MARGIN

    def sieve(self) -> Callable[[bytes], bool]:
        """A look at an event's bytes that is ten times as fast as reading it.

        It lets through all that is wanted, and most often nothing of another job.
        """
        if not self.jobs:
            return lambda _: True
        numbers = "|".join(map(str, sorted(self.jobs)))
        # Within a text of the publisher's the quotes would have backslashes before them.
        found = re.compile(rb'"jobId":\s*(?:%s)\b' % numbers.encode()).search
        return lambda body: found(body) is not None

    def takes(self, event: Event) -> bool:
        """Whether the event is wanted."""
        data = event.data
        return (
            (not self.jobs or data.jobId in self.jobs)
            and (not self.accounts or (data.account or _NO_ACCOUNT) in self.accounts)
            and (not self.apps or data.appId in self.apps)
            and (not self.outcomes or data.outcome in self.outcomes)
            and (not self.reasons or data.reason in self.reasons)
            and (not self.message_ids or data.messageId in self.message_ids)
            and (self.since is None or event.time >= self.since)
            and (self.until is None or event.time <= self.until)
        )

    def is_over(self, event: Event) -> bool:
        """Whether nothing after this event in the journal can be wanted."""
        return self.until is not None and event.time > self.until + MARGIN


def event_in(body: bytes) -> Event | None:
    """The event, or None for what somebody else has put into the journal."""
    try:
        return read_event(body)
    except ValidationError:
        return None


def event_filter_options(command: Callable[..., Result]) -> Callable[..., Result]:
    """Give a command the filters, as one argument `wanted`."""

    @click.option("--job", "jobs", multiple=True, type=click.IntRange(1), metavar="N")
    @click.option("--account", "accounts", multiple=True, metavar="NAME", help="- is for none.")
    @click.option("--app", "apps", multiple=True, metavar="APP", help="The edit's appId.")
    @click.option("--outcome", "outcomes", multiple=True, type=click.Choice(OUTCOMES))
    @click.option(
        "--reason",
        "reasons",
        multiple=True,
        type=click.Choice([reason.value for reason in Reason]),
        help="Why it was rejected. This and the others may be given several times.",
    )
    @click.option("--message-id", "message_ids", multiple=True, metavar="ID")
    @click.option(
        "--since",
        metavar="TIME",
        callback=parsed(point),
        help="As 15m, 2h, 3d ago; today, yesterday, 2026-11-20; or 2026-11-22T08:00:00Z (local"
        " time without a zone).",
    )
    @wraps(command)
    def seeking(
        *,
        jobs: tuple[int, ...],
        accounts: tuple[str, ...],
        apps: tuple[str, ...],
        outcomes: tuple[str, ...],
        reasons: tuple[str, ...],
        message_ids: tuple[str, ...],
        since: datetime | None,
        **rest: object,
    ) -> Result:
        wanted = EventFilter(
            frozenset(jobs),
            frozenset(accounts),
            frozenset(apps),
            frozenset(outcomes),
            frozenset(reasons),
            frozenset(message_ids),
            since,
        )
        return command(wanted=wanted, **rest)

    return seeking


def point(text: str) -> datetime:
    """A point in time: how long ago, a date and time of ISO 8601, or the start of a day."""
    if text.lower() in _DAYS:
        midnight = datetime.now().astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
        return (midnight - _DAYS[text.lower()]).astimezone(UTC)
    try:
        return datetime.now(UTC) - _AGO(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        raise ValueError(f"is not a valid time: write one like {_LIKE}") from None


HEADING = (
    f"{'TIME':<23}  {'OUTCOME':<10}  {'WHY':<19}  {'ACCOUNT':<12}  {'APP':<14}  {'JOB':>10}"
    "  MESSAGE, DETAIL"
)
_COLORS = {"applied": "green", "rejected": "red", "superseded": "cyan"}
_DETAIL_AT_MOST = 200
_NAME_AT_MOST = 60


def row(event: Event, room: int | None) -> str:
    """An event in a line, or in several of at most `room` columns.

    Colours are for terminals; `click.echo` takes them out elsewhere.
    """
    data = event.data
    why = " ".join(part for part in (data.reason, data.apiStatus) if part and part != "0")
    job = "" if data.jobId is None else str(data.jobId)
    line = (
        f"{moment(event.time):<23}  {data.outcome:<10}  {printable(why):<19}"
        f"  {data.account or '-':<12}  {printable(data.appId or '-'):<14}  {job:>10}"
        f"  {printable(data.messageId or '-', _NAME_AT_MOST)}"
        + (f"  {printable(data.detail, _DETAIL_AT_MOST)}" if data.detail else "")
        + (f"  by {printable(data.supersededBy, _NAME_AT_MOST)}" if data.supersededBy else "")
    )
    if room is not None and len(line) > room:  # then there is no room for columns either
        line = re.sub(" {2,}", "  ", line)
    colored = click.style(data.outcome, fg=_COLORS[data.outcome])
    return "\n".join(fitted(line, room)).replace(data.outcome, colored, 1)


def heading(room: int | None) -> str | None:
    """The names of the columns, where there is room for them."""
    return HEADING if room is None or len(HEADING) <= room else None


MEMORY_AT_MOST: Final = 32 * 1024 * 1024
"""Bytes of what is found; beyond that it waits in a file. Nothing is printed before all is read:
a pager that nobody scrolls would block the connection until RabbitMQ closes it."""


@click.command(name="history")
@event_filter_options
@click.option("--until", metavar="TIME", callback=parsed(point), help="Likewise.")
@click.option("--json", "as_json", is_flag=True, help="The events, as they were published.")
def command(wanted: EventFilter, until: datetime | None, *, as_json: bool) -> None:
    """Show what happened to edits, oldest first, as far back as the journal goes.

    Ends with 69 when there is no journal: it is a stream, which RabbitMQ has from 3.9 on.
    """
    wanted, room = replace(wanted, until=until), width()
    with SpooledTemporaryFile(MEMORY_AT_MOST) as spool:
        found = _Found(spool, room, as_json=as_json)
        failure = run(broker_of(read_settings()), lambda session: _find(session, wanted, found))
        spool.seek(0)
        if found.count and not as_json and (names := heading(room)):
            click.echo(names)
        for line in spool:
            click.echo(line if as_json else line.decode(), nl=False)
    for more in found.more:
        click.echo("\n".join(fitted(more, room)))
    if failure is not None:
        raise exit_for(failure)
    since_when = "" if wanted.since is None else f" since {moment(wanted.since)}"
    click.echo(f"{counted(found.count, 'event')}{since_when}.", err=True)
    for waiting in found.waiting:
        click.echo(waiting, err=True)


@dataclass(slots=True)
class _Found:
    """Events that are wanted, a line each."""

    lines: SpooledTemporaryFile[bytes]
    room: int | None
    as_json: bool
    count: int = 0
    begins: datetime | None = None
    """When the first event happened that the journal still has, of those that were read."""
    ids: set[str] = field(default_factory=set)
    """Of the events, where only those of some jobs or messages are asked for."""
    accounts: set[str] = field(default_factory=set)
    """Whose events they are."""
    more: list[str] = field(default_factory=list)
    """What operators did to their letters."""
    waiting: list[str] = field(default_factory=list)
    """What is still to come."""

    def add(self, event: Event, body: bytes, *, note: bool) -> None:
        self.count += 1
        line = body if self.as_json else row(event, self.room).encode()
        self.lines.write(line + b"\n")
        if note:
            self.ids.add(event.id)
            self.accounts.add(event.data.account or "")


async def _find(session: Session, wanted: EventFilter, found: _Found) -> None:
    """Find the events; for people also what operators did to them, and what is still to come."""
    await _search(session, wanted, found)
    if found.as_json:
        return
    if found.ids:
        by_id = by_event(await operations_if_any(session))
        entries = {one.begun.id: one for each in found.ids for one in by_id.get(each, ())}
        found.more = [done_by(one) for one in sorted(entries.values(), key=lambda e: e.begun.at)]
    if wanted.jobs and wanted.until is None:
        found.waiting = [line async for line in _waiting(session, wanted, found)]


async def _search(session: Session, wanted: EventFilter, found: _Found) -> None:
    passes, note = wanted.sieve(), bool(wanted.jobs or wanted.message_ids)
    async for entry in session.journal(wanted.offset or "first"):
        if found.begins is None and (first := event_in(entry.body)) is not None:
            found.begins = first.time
        event = event_in(entry.body) if passes(entry.body) else None
        if event is None:
            continue
        if wanted.takes(event):
            found.add(event, entry.body, note=note)
        if wanted.is_over(event):
            return


async def _waiting(session: Session, wanted: EventFilter, found: _Found) -> AsyncIterator[str]:
    """What there is to say of jobs beside their events: since when none, and what waits."""
    if not found.count:
        jobs = ", ".join(map(str, sorted(wanted.jobs)))
        since = wanted.since or found.begins
        when = "the journal has none at all" if since is None else f"since {moment(since)}"
        yield f"No event of job {jobs}: {when}. An edit that still waits has none yet."
    try:
        _, fleet = await heard(session)
    except SessionError as error:
        yield f"What waits is not known: {sentence(error.failure.why)}"
        return
    accounts = set(fleet.accounts) & (set(wanted.accounts) or found.accounts or {*fleet.accounts})
    for account in sorted(accounts):
        each = await row_of(session, fleet, account, None)
        state = "" if each.lane.state == "running" else f"; it is {each.lane.state}"
        left = each.seconds_left
        rate = f", {timedelta(seconds=round(left))} at its rate" if left else ""
        waiting = "?" if each.waiting is None else str(each.waiting)
        yield f"{account} has {waiting} waiting{rate}{state}."
    if not accounts:
        yield "What waits is not known: no worker answers that serves the account."
