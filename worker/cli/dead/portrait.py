"""All that is known of a dead letter, in words or as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from schemas import Malformed, Reason, document
from worker.cli.dead.advice import advice, commands
from worker.letters.lines import fields_of
from worker.letters.past import Fresh, Settled, Superseded
from worker.letters.words import age, moment, plain, stamp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from schemas import Event, FieldProblem
    from worker.core.delivery import Delivery
    from worker.letters.letter import Letter
    from worker.letters.past import Standing

EVENTS_SHOWN = 10
_BODY_SHOWN = 20_000
_OURS = "taskedit-"


@dataclass(frozen=True, slots=True)
class Portrait:
    """A letter, what the worker would say of it now, and what the journal knows of its job."""

    letter: Letter
    delivery: Delivery
    problems: tuple[str, tuple[FieldProblem, ...]] | None
    standing: Standing | None
    """None when there is no journal."""
    events: list[Event] | None
    """Of its job, first to last."""


def in_words(portrait: Portrait, at: datetime) -> Iterator[str]:
    """The portrait for a person; `at`: now."""
    letter = portrait.letter
    yield f"Dead letter #{letter.place}"
    for name, text in _facts(letter, portrait.delivery, at):
        if text:
            yield f"  {name:<14}{plain(text)}"
    yield f"Body ({letter.size} bytes)"
    yield from (f"  {line}" for line in _body(portrait.delivery.body).splitlines())
    if portrait.problems is not None:
        detail, fields = portrait.problems
        yield "The worker says of it now"
        said = [f"{field.field}: {field.problem}" for field in fields] or [detail]
        yield from (f"  {plain(line)}" for line in said)
    if portrait.events is not None:
        yield f"Job {letter.head.job_id} in the journal, since this edit was received"
        yield from (f"  {line}" for line in _told(portrait.events, letter))
    yield "What to do"
    good = portrait.problems is None
    yield from (f"  {line}" for line in advice(letter, portrait.standing, good=good))
    yield ""


def in_json(portrait: Portrait) -> str:
    """The portrait as one line of JSON; the message itself as `export` writes it."""
    letter = portrait.letter
    detail, fields = portrait.problems or (None, ())
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
        "version": letter.version,
        "edit": _edit(portrait.delivery.body),
        "problem": detail,
        "fields": [{"field": one.field, "problem": one.problem} for one in fields],
        "standing": _standing(portrait.standing),
        "events": None
        if portrait.events is None
        else [one.model_dump(mode="json") for one in portrait.events[-EVENTS_SHOWN:]],
        "commands": commands(letter),
        "letter": fields_of(portrait.delivery),
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
        if not name.startswith(_OURS):
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


def _told(events: list[Event], letter: Letter) -> Iterator[str]:
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


def _standing(standing: Standing | None) -> dict[str, Any] | None:
    match standing:
        case None:
            return None
        case Fresh():
            return {"kind": "fresh"}
        case Superseded(message_id, at):
            return {"kind": "superseded", "messageId": message_id, "at": stamp(at)}
        case Settled(outcome):
            return {"kind": "settled", "outcome": outcome}
