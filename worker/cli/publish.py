"""What became of published edits, in numbers and in words.

Edits on their way to RabbitMQ, from the first one sent to the last outcome in.

`taskedit publish`: check edits, publish them, and say what became of them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

import click

from schemas import Names, TaskEdit, read_event
from schemas.document import printable
from worker.amqp.posting import Posting, PostingEnd, PostingPlan
from worker.cli import running, sessions
from worker.cli.addressed import Address
from worker.cli.drafts import checked, drafts
from worker.cli.exits import ABSENT, AGAIN, DONE, FAILED
from worker.cli.options import FILES, bounds_options, content, parsed
from worker.cli.terminal import bar
from worker.cli.validate import in_words
from worker.core.message import ConfirmResult
from worker.core.rate_limit import Pacer
from worker.deadletters.visit import Broker, Errand, VisitFailureKind
from worker.settings import texts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pika.connection import Connection  # noqa: TID251 (its type, never pika itself)

    from schemas import Bounds, Event
    from worker.cli.addressed import Addressed
    from worker.cli.drafts import Draft
    from worker.core.message import Publication
    from worker.core.rate_limit import Rate
    from worker.settings import Settings


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


def post(
    settings: Settings,
    publications: Sequence[Publication],
    wishes: Wishes,
    heard: Callable[[bytes], None],
) -> Posting:
    """Publish, and return when all is in, or nothing more is to be waited for.

    On a terminal a bar shows how far it is. The first Ctrl-C (or SIGTERM) sends no more and
    waits for the last confirms, the second ends at once. `heard` is told each event.
    """
    broker = Broker.of(settings, version("task-edit-worker"))

    def begin(connection: Connection) -> None:
        posting.start(connection)

    def stop() -> None:
        posting.stop()

    errand = Errand(broker, begin, stop)
    loop = errand.loop
    with bar("Outcomes" if wishes.wait else "Confirmed", len(publications)) as show:

        def look() -> None:
            heard_of = len(publications) - len(posting.awaited)
            show(heard_of if wishes.wait else len(posting.confirms.fates))

        posting = Posting(
            loop,
            publications,
            PostingPlan(
                broker.names.events if wishes.wait else None,
                wishes.patience.total_seconds(),
                Pacer(wishes.rates, now=loop.now(), taken=()) if wishes.rates else None,
            ),
            heard=heard,
            look=look,
            ended=errand.end,
        )
        trouble = errand.run()
    if trouble is not None:
        stopped = trouble.kind is VisitFailureKind.STOPPED
        posting.finish(PostingEnd.STOPPED if stopped else PostingEnd.ABSENT, trouble.why)
    return posting


SHOWN_AT_MOST: Final = 10
_DURATION = texts.duration(timedelta(milliseconds=100), timedelta(days=7))
_EXITS: Final = {
    PostingEnd.LATE: AGAIN,
    PostingEnd.ABSENT: ABSENT,
    PostingEnd.REFUSED: FAILED,
    PostingEnd.STOPPED: FAILED,
}


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
@click.option("--json", "as_json", is_flag=True, help="With --wait: the events, one a line.")
@click.option("--skip-invalid", is_flag=True, help="Publish the good ones all the same.")
@click.option("--account", metavar="NAME", help="Publish straight to this account's lane.")
@click.option("--rate", callback=parsed(texts.limits), help="No faster than this, as 20/s,600/m.")
@click.option(
    "--message-id-prefix",
    "prefix",
    metavar="TEXT",
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
    settings = sessions.read_settings(accounts_wanted=False, secrets_wanted=False)
    edits = Address(Names(settings.namespace), bounds, account, prefix).addressed(good)
    wishes = Wishes(wait, patience, rate)
    events: dict[str, Event] = {}

    def heard(body: bytes) -> None:
        event = read_event(body)
        events[str(event.data.messageId)] = event
        if as_json:
            click.echo(body)

    posting = post(settings, [each.publication for each in edits], wishes, heard)
    outcomes = Outcomes(edits, posting.confirms.fates, events if wait else None)
    told = _told(posting, outcomes, wishes, settings.ops_address, as_json=as_json)
    ctx.exit(told or (FAILED if bad else DONE))


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


def _told(
    posting: Posting,
    outcomes: Outcomes,
    wishes: Wishes,
    address: tuple[str, int],
    *,
    as_json: bool,
) -> int:
    """Say what became of all; the exit code."""
    if not as_json:
        for became, count in outcomes.counted():
            click.echo(f"{count:>8}  {became}")
    if posting.end is not PostingEnd.DONE:
        click.echo(" ".join(_why(posting, outcomes.edits, wishes.patience, address)), err=True)
        for line in _open(posting, outcomes):
            click.echo(line, err=True)
    bad = list(outcomes.bad())
    for line in bad[:SHOWN_AT_MOST]:
        click.echo(line, err=True)
    if len(bad) > SHOWN_AT_MOST:
        click.echo(f"… and {len(bad) - SHOWN_AT_MOST} more.", err=True)
    early = None if posting.end is None else _EXITS.get(posting.end)
    return early or (FAILED if bad else DONE)


def _open(posting: Posting, outcomes: Outcomes) -> Iterator[str]:
    """The message ids of what was sent and has no outcome yet: a repeat needs the same ones."""
    events = outcomes.events
    if events is None:
        return
    sent = outcomes.edits[: posting.confirms.sent]
    waiting = [each.message_id for each in sent if each.message_id not in events]
    if waiting:
        yield "Sent, outcome unknown; to send them again under the same message ids is harmless:"
        yield from waiting


def _stopped(address: tuple[str, int]) -> Iterator[str]:
    """What a worker at the ops address says of accounts that send nothing; a sentence each."""
    lanes = running.lanes(address)
    if lanes is None:
        yield "does a worker run? None answers at {}:{}, TASKEDIT_OPS_ADDRESS.".format(*address)
        return
    found = [(name, why) for name, lane in lanes.items() if (why := running.stopped(lane))]
    yield (
        "; ".join(f"account {name} {why}" for name, why in found) + "."
        if found
        else (
            "the worker that was asked calls every account running: `taskedit doctor` tells more."
        )
    )


def _why(
    posting: Posting, edits: Sequence[Addressed], patience: timedelta, address: tuple[str, int]
) -> Iterator[str]:
    """What ended it early, and what was sent until then; a sentence each."""
    match posting.end:
        case PostingEnd.LATE:
            yield f"Nothing has moved for {texts.shown(patience)}:"
            yield from _stopped(address)
        case PostingEnd.STOPPED:
            yield "Stopped."
        case _:
            yield f"{posting.trouble[:1].upper()}{posting.trouble[1:].rstrip('.')}."
    if posting.trouble.startswith("NOT_FOUND"):
        yield "A worker declares it when it starts, and so does `taskedit topology apply`."
    if not_sent := edits[posting.confirms.sent :]:
        first = not_sent[0].draft
        yield f"Not sent: {len(not_sent)} of {len(edits)}, from {first.file}:{first.line} on."
    if unsure := posting.confirms.sent - len(posting.confirms.fates):
        yield f"Sent without a confirm, so they may have arrived: {unsure}."
