"""`taskedit publish`: check edits, publish them, and say what became of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import click

from schemas import Names, TaskEdit, read_event
from schemas.document import printable
from worker.amqp.session import Failure, FailureKind, SessionError, run, task_group
from worker.cli.drafts import Address, checked, drafts
from worker.cli.exits import AGAIN, DONE, FAILED
from worker.cli.lanes import fleet_lanes, lanes_at, why_stopped
from worker.cli.options import FILES, bounds_options, content, parsed
from worker.cli.sessions import EXITS, broker_of, read_settings, sentence
from worker.cli.terminal import progress_bar
from worker.cli.validate import in_words
from worker.core.message import ConfirmResult
from worker.core.rate_limit import Pacer
from worker.settings import texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from schemas import Bounds, Event
    from worker.amqp.session import Channel, DeliveryStream, Session
    from worker.cli.drafts import Addressed, Draft
    from worker.core.rate_limit import Rate
    from worker.settings import Settings


SHOWN_AT_MOST: Final = 10
UNCONFIRMED_AT_MOST: Final = 1000
CONFIRMS_WITHIN: Final = 2.0
"""Seconds that are given to the last confirms when it is to stop."""
_DETAIL_AT_MOST = 300
_UNHEARD = {
    ConfirmResult.CONFIRMED: "no outcome yet",
    ConfirmResult.UNROUTABLE: "unroutable: no queue takes it",
    ConfirmResult.REFUSED: "refused by RabbitMQ",
}


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What RabbitMQ said of each message, and what the worker did."""

    edits: Sequence[Addressed]
    fates: Mapping[str, ConfirmResult]
    """By message id; what is missing was not confirmed."""
    events: Mapping[str, Event] | None
    """By message id; None when they were not waited for."""

    def counted(self) -> list[tuple[str, int]]:
        """Each thing that became of an edit, and of how many; the most frequent first."""
        return Counter(map(self._became, self.edits)).most_common()

    def bad(self) -> Iterator[str]:
        """A line for each edit that was rejected, or that no queue took."""
        for each in self.edits:
            event = (self.events or {}).get(each.message_id)
            fate = self.fates.get(each.message_id)
            where = f"{each.draft.file}:{each.draft.line}, job {each.edit.jobId}"
            if event is not None and event.data.outcome == "rejected":
                yield f"{where}: {printable(str(event.data.detail), _DETAIL_AT_MOST)}"
            elif fate in {ConfirmResult.UNROUTABLE, ConfirmResult.REFUSED}:
                yield f"{where}: {_UNHEARD[fate]}"

    def _became(self, edit: Addressed) -> str:
        event = (self.events or {}).get(edit.message_id)
        if event is None:
            fate = self.fates.get(edit.message_id)
            if fate is None:
                return "not confirmed"
            is_done = self.events is None and fate is ConfirmResult.CONFIRMED
            return "confirmed" if is_done else _UNHEARD[fate]
        if event.data.outcome != "rejected":
            return event.data.outcome
        status = f" {event.data.apiStatus}" if event.data.apiStatus else ""
        words = f" ({printable(event.data.apiReason)})" if event.data.apiReason else ""
        return f"rejected: {event.data.reason}{status}{words}"


@dataclass(frozen=True, slots=True)
class Wishes:
    """How to publish."""

    wait: bool
    """For the outcomes, not only for the confirms."""
    patience: timedelta
    """How long nothing may move before it is given up."""
    rates: tuple[Rate, ...] | None
    as_json: bool
    """Print the events as they come."""


@dataclass(slots=True)
class Posted:
    """How far the edits have come."""

    sent: int = 0
    fates: dict[str, ConfirmResult] = field(default_factory=dict)
    """What RabbitMQ said, by message id."""
    events: dict[str, Event] = field(default_factory=dict)
    """What the worker did, by message id."""
    moved: int = 0
    """Edits of which there is nothing more to wait for."""
    is_late: bool = False
    """It was given up, for nothing had moved for too long."""


async def post(
    session: Session, edits: Sequence[Addressed], wishes: Wishes, posted: Posted
) -> None:
    """Publish in order, with confirms, and wait for what is to be waited for.

    Every edit has a message id of its own. When the session is to stop, no more is sent, and only
    the last confirms are waited for. Raises `SessionError`.
    """
    label = "Outcomes" if wishes.wait else "Confirmed"
    async with progress_bar(label, len(edits), posted):
        try:
            async with asyncio.timeout(None) as deadline, task_group() as group:
                await _Posting(session, edits, wishes, posted, deadline).carry_out(group)
        except TimeoutError:
            posted.is_late = not session.stopping.is_set()
    if session.stopping.is_set():
        raise SessionError(FailureKind.STOPPED, "stopped")


class _Posting:
    def __init__(
        self,
        session: Session,
        edits: Sequence[Addressed],
        wishes: Wishes,
        posted: Posted,
        deadline: asyncio.Timeout,
    ) -> None:
        self._session = session
        self._edits = edits
        self._wishes = wishes
        self._posted = posted
        self._deadline = deadline
        self._loop = asyncio.get_running_loop()
        self._awaited = {each.message_id for each in edits} if wishes.wait else set()
        self._is_heard = asyncio.Event()
        """No outcome is to be waited for any more."""
        self._room = asyncio.Semaphore(UNCONFIRMED_AT_MOST)

    async def carry_out(self, group: asyncio.TaskGroup) -> None:
        session = self._session
        self._progress()
        helpers = [group.create_task(self._heed_stop())]
        if self._wishes.wait:  # bound before the first edit goes out, so that no event is missed
            events = await session.events(session.names.events)
            helpers.append(group.create_task(self._hear(events)))
        channel = await session.publisher()
        await self._look_for_target(channel)
        await self._send(channel, group)
        if self._awaited:
            await self._is_heard.wait()
        for helper in helpers:
            helper.cancel()

    async def _look_for_target(self, channel: Channel) -> None:
        """Make sure that there is something to publish to, before anything is published."""
        first = self._edits[0].publication
        if first.exchange:
            await channel.call("exchange_declare", first.exchange, passive=True)
        else:
            await channel.counts(first.routing_key)

    async def _send(self, channel: Channel, group: asyncio.TaskGroup) -> None:
        """Send all, or until it is to stop; every one that was sent is confirmed then."""
        rates, stopping = self._wishes.rates, self._session.stopping
        pacer = Pacer(rates, now=self._loop.time(), taken=()) if rates else None
        sending = []
        for each in self._edits:
            while pacer is not None and (wait := pacer.wait(self._loop.time())) > 0:
                await self._session.pause(wait)
                if stopping.is_set():
                    break
            if stopping.is_set():
                break
            if pacer is not None:
                pacer.take(self._loop.time())
            await self._room.acquire()
            sending.append(group.create_task(self._publish(channel, each)))
        await asyncio.gather(*sending)

    async def _publish(self, channel: Channel, each: Addressed) -> None:
        self._posted.sent += 1
        result = self._posted.fates[each.message_id] = await channel.publish(each.publication)
        if not self._wishes.wait:
            self._posted.moved += 1
        elif result is not ConfirmResult.CONFIRMED:
            self._hear_of(each.message_id)
        self._room.release()
        self._progress()

    async def _hear(self, events: DeliveryStream) -> None:
        """An event's correlation id is the edit's message id, for we publish without any."""
        async for entry in events:
            message_id = entry.properties.correlation_id
            if message_id in self._awaited:
                self._posted.events[message_id] = read_event(entry.body)
                if self._wishes.as_json:
                    click.echo(entry.body)
                self._hear_of(message_id)
                self._progress()

    def _hear_of(self, message_id: str) -> None:
        """Nothing more is to come of an edit."""
        if message_id in self._awaited:
            self._awaited.remove(message_id)
            self._posted.moved += 1
        if not self._awaited:
            self._is_heard.set()

    def _progress(self) -> None:
        """Something has moved: be patient anew."""
        if not (self._session.stopping.is_set() or self._deadline.expired()):
            patience = self._wishes.patience.total_seconds()
            self._deadline.reschedule(self._loop.time() + patience)

    async def _heed_stop(self) -> None:
        await self._session.stopping.wait()
        self._is_heard.set()
        self._deadline.reschedule(self._loop.time() + CONFIRMS_WITHIN)


_DURATION = texts.duration(timedelta(milliseconds=100), timedelta(days=7))
_PREFIX_BYTES = 200


def _prefix(text: str) -> str:
    if len(text.encode("utf-8", "surrogateescape")) > _PREFIX_BYTES:
        raise ValueError(f"is longer than {_PREFIX_BYTES} bytes of UTF-8: a message id has 255")
    return text


@click.command(name="publish")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=FILES)
@click.option("--wait", is_flag=True, help="Wait until the outcome of every edit is in.")
@click.option(
    "--timeout",
    "patience",
    metavar="TIME",
    default="2m",
    show_default=True,
    callback=parsed(_DURATION),
    help="Give up when nothing has moved for so long.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="With --wait: the events, one a line; the summary goes to standard error.",
)
@click.option("--skip-invalid", is_flag=True, help="Publish the good ones all the same.")
@click.option(
    "--account",
    metavar="NAME",
    callback=parsed(texts.account_name),
    help="Publish straight to this account's lane.",
)
@click.option("--rate", callback=parsed(texts.limits), help="No faster than this, as 20/s,600/m.")
@click.option(
    "--message-id-prefix",
    "prefix",
    metavar="TEXT",
    callback=parsed(_prefix),
    help="Number the messages, as TEXT1, TEXT2 …: to publish the same file again is harmless.",
)
@bounds_options
@click.pass_context
def command(  # noqa: PLR0913 - an argument an option
    ctx: click.Context,
    files: tuple[str, ...],
    bounds: Bounds,
    patience: timedelta,
    account: str | None,
    rate: tuple[Rate, ...] | None,
    prefix: str | None,
    *,
    wait: bool,
    as_json: bool,
    skip_invalid: bool,
) -> None:
    """Check the edits in files, publish them, and say what became of them.

    A FILE holds one edit, a JSON list of edits, or JSON Lines; - is standard input. If any edit
    is bad nothing is published, unless --skip-invalid is given.

    Ends with 0 when all were confirmed, and with --wait applied; 1 when one was bad, rejected or
    unroutable; 69 when RabbitMQ is not there; 75 when it took too long.
    """
    if as_json and not wait:
        raise click.UsageError("--json prints events: it needs --wait.")
    good, bad = _sorted_out(files, bounds)
    if (bad and not skip_invalid) or not good:
        click.echo(f"{len(good)} good, {bad} bad: nothing was published.", err=True)
        ctx.exit(FAILED if bad else DONE)
    settings = read_settings()
    edits = Address(Names(settings.namespace), bounds, account, prefix).addressed(good)
    wishes = Wishes(wait, patience, rate, as_json)
    posted = Posted()
    failure = run(
        broker_of(settings), lambda session: post(session, edits, wishes, posted), graceful=True
    )
    outcomes = Outcomes(edits, posted.fates, posted.events if wait else None)
    for became, count in outcomes.counted():
        click.echo(f"{count:>8}  {became}", err=as_json)
    if posted.is_late or failure is not None:
        why = _why(failure, posted, edits, patience, settings)
        click.echo(" ".join(why), err=True)
        for line in _open(posted, outcomes):
            click.echo(line, err=True)
    rejected = list(outcomes.bad())
    for line in rejected[:SHOWN_AT_MOST]:
        click.echo(line, err=True)
    if len(rejected) > SHOWN_AT_MOST:
        click.echo(f"… and {len(rejected) - SHOWN_AT_MOST} more.", err=True)
    if failure is not None:
        ctx.exit(EXITS[failure.kind])
    ctx.exit(AGAIN if posted.is_late else FAILED if rejected or bad else DONE)


def _sorted_out(files: Sequence[str], bounds: Bounds) -> tuple[list[tuple[Draft, TaskEdit]], int]:
    """The good edits of all files, and how many bad ones there are; these are told."""
    good, bad = [], 0
    for draft in (draft for file in files for draft in drafts(file, content(file))):
        found = checked(draft, bounds)
        if isinstance(found, TaskEdit):
            good.append((draft, found))
        else:
            bad += 1
            for line in in_words(draft, found):
                click.echo(line, err=True)
    return good, bad


def _open(posted: Posted, outcomes: Outcomes) -> Iterator[str]:
    """The message ids of what was sent and has no outcome yet: a repeat needs the same ones."""
    events = outcomes.events
    if events is None:
        return
    sent = outcomes.edits[: posted.sent]
    waiting = [each.message_id for each in sent if each.message_id not in events]
    if waiting:
        yield "Sent, outcome unknown; to send them again under the same message ids is harmless:"
        yield from waiting


def _stopped(settings: Settings) -> Iterator[str]:
    """What workers say of accounts that send nothing; a sentence each.

    By their heartbeats, or at the ops address for a user who may not hear those.
    """
    heard = run(broker_of(settings), fleet_lanes)
    lanes = None if isinstance(heard, Failure) else heard
    lanes = lanes or lanes_at(settings.ops_address)
    if not lanes:
        address = "{}:{}".format(*settings.ops_address)
        yield f"does a worker run? None answers by RabbitMQ, or at {address}, TASKEDIT_OPS_ADDRESS."
        return
    found = [(name, why) for name, lane in lanes.items() if (why := why_stopped(lane))]
    if found:
        yield "; ".join(f"account {name} {why}" for name, why in found) + "."
    else:
        yield "the workers call every account running: `taskedit doctor` tells more."


def _why(
    failure: Failure | None,
    posted: Posted,
    edits: Sequence[Addressed],
    patience: timedelta,
    settings: Settings,
) -> Iterator[str]:
    """What ended it early, and what was sent until then; a sentence each."""
    if failure is None:
        yield f"Nothing has moved for {texts.shown(patience)}:"
        yield from _stopped(settings)
    else:
        yield sentence(failure.why)
        if "NOT_FOUND" in failure.why:
            yield "A worker declares it when it starts, and so does `taskedit topology apply`."
    if not_sent := edits[posted.sent :]:
        first = not_sent[0].draft
        yield f"Not sent: {len(not_sent)} of {len(edits)}, from {first.file}:{first.line} on."
    if unsure := posted.sent - len(posted.fates):
        yield f"Sent without a confirm, so they may have arrived: {unsure}."
