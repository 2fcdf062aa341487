"""Dead letters, and what is done with them, in words and as JSON."""

from __future__ import annotations

import json
import re
import shlex
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from schemas import Malformed, Reason, document
from worker.cli.audit import done_by
from worker.core.message import OWN_PREFIX
from worker.deadletters.history import AlreadySettled, Overtaken, Redrivable
from worker.deadletters.render import age, counted, fitted, moment, plain, stamp
from worker.deadletters.serialization import fields_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from schemas import Event, FieldProblem
    from worker.core.message import Delivery
    from worker.deadletters.history import Eligibility
    from worker.deadletters.letter import Letter
    from worker.deadletters.plan import Plan
    from worker.deadletters.redrive import RedriveProgress
    from worker.fleet.operations import Entry


def advised_commands(letter: Letter) -> dict[str, str]:
    """The command for each thing that can be done about the letter."""
    name = f"--id {shlex.quote(letter.name)}"
    return {
        "redrive": f"taskedit dead redrive {name}",
        "mend": f"taskedit dead redrive {name} --edit",
        "export": f"taskedit dead export {name} > letter.jsonl",
        "discard": f"taskedit dead discard {name}",
    }


def suggested_commands(
    letter: Letter, standing: Eligibility | None, width: int | None, *, good: bool
) -> Iterator[str]:
    """What is to be known before it is sent again, then the commands; lines of at most `width`.

    `standing`: as the journal tells, None without one. `good`: the worker would take it now.
    """
    for line in _warnings(standing, good=good):
        yield from fitted(f"  {line}", width, 2)
    does = advised_commands(letter)
    said = {"redrive": "once the cause is gone", "mend": "mended in $EDITOR, checked, and sent"}
    order = ("redrive", "mend") if good else ("mend", "redrive")
    rows = [(does[what], said[what]) for what in order]
    rows += [(does["export"], "to keep a copy"), (does["discard"], "to throw it away")]
    longest = max(len(command) for command, _ in rows)
    for command, why in rows:
        line = f"  {command.ljust(longest)}  # {why}"
        if width is None or len(line) <= width:
            yield line
            continue
        yield f"  # {why}"
        parts = textwrap.wrap(command, width - 6, break_on_hyphens=False, break_long_words=False)
        yield from (f"  {part} \\" for part in parts[:-1])
        yield f"  {parts[-1]}"


def _warnings(standing: Eligibility | None, *, good: bool) -> Iterator[str]:
    match standing:
        case Overtaken(message_id, at):
            name = "one without a message id" if message_id is None else plain(message_id)
            yield f"A newer edit of this job ({name}) was applied at {moment(at)}:"
            yield "sending this one again would undo it; only --even-if-superseded does."
        case AlreadySettled(outcome):
            yield f"It has been sent again already, and that was {outcome}: this is a copy that"
            yield "a killed command left behind. A redrive takes it out without sending it."
        case Redrivable() | None:
            pass
    if not good:
        yield "As it is, the worker would reject it again: mend it first."


EVENTS_SHOWN = 10
INDENT = 16
"""Where what is said of a letter begins."""
FACT = re.compile(r"  [a-z][a-zA-Z ]{1,12} {2,}\S")
_BODY_SHOWN = 20_000


@dataclass(frozen=True, slots=True)
class LetterReport:
    """A letter, what the worker would say of it now, and what the journal knows of its job."""

    letter: Letter
    delivery: Delivery
    problems: tuple[str, tuple[FieldProblem, ...]] | None
    standing: Eligibility | None
    """None when there is no journal."""
    events: list[Event] | None
    """Of its job, first to last."""
    sent_again: list[Entry]
    """The operations by which it was sent again, first to last."""


def report_in_words(report: LetterReport, at: datetime, width: int | None) -> Iterator[str]:
    """The report for a person; `at`: now. No line is wider than `width`."""
    for line in _report(report, at):
        yield from fitted(line, width, INDENT if FACT.match(line) else None)
    yield "What to do"
    good = report.problems is None
    yield from suggested_commands(report.letter, report.standing, width, good=good)
    yield ""


def _report(report: LetterReport, at: datetime) -> Iterator[str]:
    letter = report.letter
    yield f"Dead letter #{letter.place}"
    for name, text in _facts(letter, report.delivery, at):
        if text:
            yield f"  {name:<14}{plain(text)}"
    for entry in report.sent_again:
        yield f"  {'sent again':<14}{done_by(entry)}"
    yield f"Body ({letter.size} bytes)"
    yield from (f"  {line}" for line in _body(report.delivery.body).splitlines())
    if report.problems is not None:
        detail, fields = report.problems
        yield "The worker says of it now"
        said = [f"{field.field}: {field.problem}" for field in fields] or [detail]
        yield from (f"  {plain(line)}" for line in said)
    if report.events is not None:
        yield f"Job {letter.head.job_id} in the journal, since this edit was received"
        yield from (f"  {line}" for line in _event_lines(report.events, letter))


def report_in_json(report: LetterReport) -> str:
    """The report as one line of JSON; the message itself as `export` writes it."""
    letter = report.letter
    detail, fields = report.problems or (None, ())
    said: dict[str, Any] = {
        "place": letter.place,
        "messageId": letter.head.message_id,
        "correlationId": letter.head.correlation_id,
        "account": letter.account,
        "appId": letter.head.app_id,
        "jobId": letter.head.job_id,
        "reason": letter.reason,
        "detail": letter.detail,
        "apiStatus": letter.status or None,
        "attempts": int(letter.attempts) if letter.attempts.isdecimal() else None,
        "exchange": letter.exchange,
        "routingKey": letter.routing_key,
        "receivedAt": stamp(letter.received_at),
        "deadAt": stamp(letter.dead_at),
        "eventId": letter.event_id or None,
        "redrives": letter.redrives,
        "sentAgain": [
            {
                "at": stamp(entry.begun.at),
                "actor": entry.begun.actor,
                "user": entry.begun.user if entry.vouched else None,
                "action": entry.begun.action,
                "why": entry.begun.why,
                "operation": entry.begun.id,
            }
            for entry in report.sent_again
        ],
        "version": letter.version,
        "edit": _edit(report.delivery.body),
        "problem": detail,
        "fields": [{"field": one.field, "problem": one.problem} for one in fields],
        "standing": _standing(report.standing),
        "events": None
        if report.events is None
        else [one.model_dump(mode="json") for one in report.events[-EVENTS_SHOWN:]],
        "commands": advised_commands(letter),
        "letter": fields_of(report.delivery),
    }
    return json.dumps(said)


def _facts(letter: Letter, delivery: Delivery, at: datetime) -> Iterator[tuple[str, str]]:
    meanings = {reason.value: reason.meaning for reason in Reason}
    yield "reason", f"{letter.reason}: {meanings.get(letter.reason, 'no reason of this worker.')}"
    yield "detail", letter.detail
    yield "API status", letter.status
    yield "attempts", letter.attempts
    yield "died", f"{moment(letter.dead_at)} ({age(letter.dead_at, at)} ago)"
    yield "received", moment(letter.received_at)
    yield "account", letter.account or "none"
    yield "app", letter.head.app_id or ""
    yield "job", str(letter.head.job_id or "")
    yield "message id", letter.head.message_id or ""
    yield "correlation", letter.head.correlation_id or ""
    yield "event id", letter.event_id
    yield "published to", f"{letter.exchange or 'the default exchange'}, as {letter.routing_key}"
    yield "redrives", str(letter.redrives)
    yield "set aside by", f"worker {letter.version}" if letter.version else ""
    said = fields_of(delivery)
    for name, value in said["properties"].items():
        if name not in {"message_id", "correlation_id", "delivery_mode"}:
            yield name, str(value)
    for name, value in said["headers"].items():
        if not name.startswith(OWN_PREFIX):
            yield f"header {plain(name)}", f" {value}"
    if "headersBase64" in said:
        yield "headers", "some are no text; export shows them"


def _body(body: bytes) -> str:
    """As JSON laid out if it is JSON, else as it stands."""
    edit = _edit(body)
    if edit is not None:
        return plain(json.dumps(edit, indent=2, ensure_ascii=False), _BODY_SHOWN)
    return plain(body.decode(errors="backslashreplace"), _BODY_SHOWN)


def _edit(body: bytes) -> dict[str, Any] | None:
    found = document.read(body)
    return None if isinstance(found, Malformed) else found


def _event_lines(events: list[Event], letter: Letter) -> Iterator[str]:
    if len(events) > EVENTS_SHOWN:
        yield f"… and {len(events) - EVENTS_SHOWN} before these"
    for event in events[-EVENTS_SHOWN:]:
        data = event.data
        status = f" {data.apiStatus}" if data.apiStatus else ""
        what = data.outcome if data.reason is None else f"{data.outcome}, {data.reason}"
        mark = "  <- this letter" if event.id == letter.event_id else ""
        yield plain(f"{moment(data.finishedAt)}  {what}{status}  {data.messageId or '-'}{mark}")
    if not events:
        yield "nothing"


def _standing(standing: Eligibility | None) -> dict[str, Any] | None:
    match standing:
        case None:
            return None
        case Redrivable():
            return {"kind": "fresh"}
        case Overtaken(message_id, at):
            return {"kind": "superseded", "messageId": message_id, "at": stamp(at)}
        case AlreadySettled(outcome):
            return {"kind": "settled", "outcome": outcome}


SHOWN_AT_MOST = 10


def preview_in_words(plan: Plan, wanted: int, *, dry_run: bool) -> Iterator[str]:
    """What is going to become of the letters that are meant; a line each."""
    if not wanted:
        yield "No dead letters match."
        return
    will = "would be" if dry_run else "to be"
    yield f"{counted(plan.sends)} of {wanted} {will} sent again."
    if plan.beyond:
        yield f"{plan.beyond} more are left because of --max."
    if plan.copies:
        yield f"{plan.copies} {will} taken out: they are copies of what was sent and settled."
    if plan.superseded:
        yield (
            f"{len(plan.superseded)} are left: a newer edit of the same job has been applied"
            " since (--even-if-superseded sends them all the same):"
        )
    for letter, by in plan.superseded[:SHOWN_AT_MOST]:
        yield f"  {_superseded(letter, by)}"
    if len(plan.superseded) > SHOWN_AT_MOST:
        yield f"  … and {len(plan.superseded) - SHOWN_AT_MOST} more"


def plan_in_words(plan: Plan, done: RedriveProgress) -> Iterator[str]:
    """What has become of them; a line each."""
    is_heard = done.applied or done.rejected
    heard = f": {done.applied} applied, {done.rejected} rejected" if is_heard else ""
    yield f"Sent {done.sent} of {plan.sends}{heard}."
    counts = {
        "Taken out as copies": done.copies,
        "Left, for there is no queue to send them to": done.unroutable,
        "Left, for RabbitMQ refused them": done.refused,
        "Not there any more": done.gone,
    }
    yield from (f"{what}: {count}." for what, count in counts.items() if count)
    if done.unsure:
        yield f"Sent without a confirm: {done.unsure}. To send them again is harmless."
    if done.stopped:
        left = len(plan.moves) - done.moved
        yield f"{done.stopped[:1].upper()}{done.stopped[1:]}: {left} are left."


def plan_in_json(plan: Plan, wanted: int, done: RedriveProgress | None) -> str:
    """The same for machines; without `done`, what would be done."""
    found: dict[str, object] = {
        "wanted": wanted,
        "planned": plan.sends,
        "copies": plan.copies,
        "beyondMax": plan.beyond,
        "superseded": [
            {"messageId": letter.head.message_id, "by": by.message_id, "at": stamp(by.at)}
            for letter, by in plan.superseded
        ],
    }
    if done is not None:
        found |= {
            "sent": done.sent,
            "applied": done.applied,
            "rejected": done.rejected,
            "unroutable": done.unroutable,
            "refused": done.refused,
            "gone": done.gone,
            "unsure": done.unsure,
            "stopped": done.stopped or None,
        }
    return json.dumps(found)


def _superseded(letter: Letter, by: Overtaken) -> str:
    newer = by.message_id or "one without a message id"
    return plain(f"{letter.name}, job {letter.head.job_id}: {newer}, applied {moment(by.at)}")
