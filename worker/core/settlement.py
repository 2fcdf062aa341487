"""What an ending is published as: event, dead letter, reply; each confirmed before the ack."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from schemas import names
from schemas.event import encode
from worker.core.headers import NO_HEADERS, Headers
from worker.core.identity import redrives
from worker.core.message import DETAIL_BYTES, PERSISTENT, Properties, Publication, legible
from worker.core.unrouted import exchange_of
from worker.core.verdict import Applied, Ending, Rejected, Superseded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from schemas import Outcome
    from worker.core.decode import MessageInfo
    from worker.core.dedup import Known
    from worker.core.identity import Place
    from worker.core.message import Delivery

SHORT_STRING_BYTES = 255
LANES_REMEMBERED = 10
TRACE_CHARACTERS = 1024
"""Twice what W3C Trace Context (3.3.1.5) asks to hand on at least."""
_EVENT_TYPES: Mapping[Outcome, str] = MappingProxyType(
    {
        "applied": names.APPLIED_EVENT_TYPE,
        "rejected": names.REJECTED_EVENT_TYPE,
        "superseded": names.SUPERSEDED_EVENT_TYPE,
    }
)
_NOT_CARRIED = frozenset(("CC", "BCC", names.HANDED_ON_HEADER))


@dataclass(frozen=True, slots=True)
class Settlement:
    """How a delivery ends: publish each in turn, each confirmed before the next; then ack.

    An event is only published once its dead letter is confirmed, so whoever sees the event of a
    rejected edit can rely on the letter; and a repeat of it needs no second letter.
    """

    event: Publication
    letter: Publication | None = None
    reply: Publication | None = None
    """The event once more, for `reply_to`: best effort, never waited for."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What every settlement of this worker carries besides its verdict."""

    names: names.Names
    version: str


def settle(  # noqa: PLR0913 (all that an event tells of)
    delivery: Delivery,
    head: MessageInfo,
    verdict: Ending,
    *,
    attempts: int,
    now: datetime,
    chance_id: Callable[[], str],
    by: Origin,
    trace: Mapping[str, str] | None = None,
    place: Place | None = None,
) -> Settlement:
    """The settlement of a delivery by its final verdict.

    `attempts`: calls that counted. `now`: aware, UTC. `chance_id` gives the event's id
    when the message has none of its own to derive it from. `trace`: headers by which subscribers
    follow the edit; the message's own without them. `place`: where the edit stood in its lane.
    """
    outcome = outcome_of(verdict)
    event_id = head.identity.event_id(outcome) if head.identity else chance_id()
    event = Publication(
        by.names.events,
        names.event_key(outcome, head.app_id),
        _event_body(delivery, head, verdict, outcome, attempts, now, event_id),
        Properties(
            content_type=names.CLOUDEVENTS_CONTENT_TYPE,
            delivery_mode=PERSISTENT,
            message_id=event_id,
            correlation_id=_short(head.correlation_id or head.message_id),
            timestamp=int(now.timestamp()),
            type=_EVENT_TYPES[outcome],
            headers=_event_headers(delivery, trace, place),
        ),
    )
    letter = None
    if isinstance(verdict, Rejected):
        letter = _letter(delivery, head, verdict, event_id, attempts, now, by, place)
    return Settlement(event, letter, _reply(delivery, event))


def outcome_of(ending: Ending) -> Outcome:
    """An ending in the word that its event has for it."""
    match ending:
        case Applied():
            return "applied"
        case Rejected():
            return "rejected"
        case Superseded():
            return "superseded"


def settle_again(delivery: Delivery, event: Publication) -> Settlement:
    """The settlement of a repeat: its event once more, as it was, and nothing else."""
    return Settlement(event, None, _reply(delivery, event))


def settle_known(
    delivery: Delivery, head: MessageInfo, known: Known, *, now: datetime, by: Origin
) -> Settlement:
    """The settlement of a repeat of which only the outcome is remembered: its event told anew.

    It has the same id; attempts and times are those of the repeat, which was not called.
    """
    verdict: Ending = Applied("0", "success")
    if known.superseded:
        verdict = Superseded(None)
    elif known.reason is not None:
        detail = "the same message was rejected before: its first event has the details"
        verdict = Rejected(known.reason, detail)
    told = settle(delivery, head, verdict, attempts=0, now=now, chance_id=str, by=by)
    return Settlement(told.event, None, told.reply)


def handed_on(delivery: Delivery, account: str, queue: str) -> Publication:
    """The message as it is, for the lane of the account that its appId belongs to now.

    `account`: whose lane it was in, which its headers tell, for it may have been settled there; and
    where it was published, by which one that cannot be read finds its lane if it goes on again.
    Left out is what RabbitMQ would act upon, as in a letter; a time to live begins anew.
    """
    had = delivery.properties
    passed = (*lanes_passed(delivery), account)[-LANES_REMEMBERED:]
    own = had.headers.kept(without=_NOT_CARRIED, prefix="x-")
    exchange, key = published_to(delivery)
    told = {names.EXCHANGE_HEADER: exchange, names.ROUTING_KEY_HEADER: key}
    headers = own.merged({names.HANDED_ON_HEADER: ",".join(passed)} | told)
    carried = replace(had, headers=headers, delivery_mode=PERSISTENT, user_id=None)
    return Publication("", queue, delivery.body, carried)


def lanes_passed(delivery: Delivery) -> tuple[str, ...]:
    """The accounts whose lanes a message has been handed on from, the last one last."""
    stated = delivery.properties.headers.text(names.HANDED_ON_HEADER)
    return tuple(stated.split(",")[-LANES_REMEMBERED:]) if stated else ()


def published_to(delivery: Delivery) -> tuple[str, str]:
    """Exchange and routing key of a message, whichever lanes it has been handed on by since.

    The headers that tell them may be anybody's, and hold what is too long for a key.
    """
    headers = delivery.properties.headers
    if not lanes_passed(delivery):
        return delivery.exchange, delivery.routing_key
    exchange, key = headers.text(names.EXCHANGE_HEADER), headers.text(names.ROUTING_KEY_HEADER)
    key = names.edit_key(key or delivery.routing_key)
    return delivery.exchange if exchange is None else exchange, key


def _event_body(
    delivery: Delivery,
    head: MessageInfo,
    verdict: Ending,
    outcome: Outcome,
    attempts: int,
    now: datetime,
    event_id: str,
) -> bytes:
    rejected = verdict if isinstance(verdict, Rejected) else None
    said = None if isinstance(verdict, Superseded) else verdict
    return encode(
        event_id=event_id,
        account=head.account,
        message_id=head.message_id,
        correlation_id=head.correlation_id,
        app_id=head.app_id,
        job_id=head.job_id,
        outcome=outcome,
        reason=rejected.reason if rejected else None,
        detail=rejected.detail if rejected else None,
        fields=rejected.fields if rejected else (),
        api_status=said.status if said else None,
        api_reason=said.words if said else None,
        superseded_by=verdict.by if isinstance(verdict, Superseded) else None,
        attempts=attempts,
        received_at=delivery.received_at,
        finished_at=now,
    )


def _reply(delivery: Delivery, event: Publication) -> Publication | None:
    address = delivery.properties.reply_to
    return Publication("", address, event.body, event.properties) if address else None


def _letter(  # noqa: PLR0913, PLR0917 (all that a letter tells of)
    delivery: Delivery,
    head: MessageInfo,
    verdict: Rejected,
    event_id: str,
    attempts: int,
    now: datetime,
    by: Origin,
    place: Place | None,
) -> Publication:
    """The message byte for byte, with why and whence in its headers.

    Left out: what RabbitMQ would act upon (`user_id`, `expiration`, CC, BCC, x-…: a client's
    x-death can make RabbitMQ 3.10 drop the letter as a cycle).
    """
    exchange, key = published_to(replace(delivery, exchange=exchange_of(delivery, by.names)))
    said = {
        names.REASON_HEADER: verdict.reason.value,
        names.DETAIL_HEADER: _bounded(verdict.detail, DETAIL_BYTES),
        names.API_STATUS_HEADER: verdict.status or "",
        names.ATTEMPTS_HEADER: str(attempts),
        names.ACCOUNT_HEADER: head.account or "",
        names.EXCHANGE_HEADER: exchange,
        names.ROUTING_KEY_HEADER: key,
        names.RECEIVED_AT_HEADER: stamp(delivery.received_at),
        names.DEAD_AT_HEADER: stamp(now),
        names.EVENT_ID_HEADER: event_id,
        names.REDRIVES_HEADER: str(redrives(delivery)),
        names.VERSION_HEADER: by.version,
    }
    if place is not None:
        said[names.PLACE_HEADER] = str(place)
    had = delivery.properties
    if had.user_id:
        said[names.USER_ID_HEADER] = legible(had.user_id) or ""
    own = had.headers.kept(without=_NOT_CARRIED, prefix="x-")
    carried = Properties(
        content_type=had.content_type,
        content_encoding=had.content_encoding,
        headers=own.merged(said),
        delivery_mode=PERSISTENT,
        priority=had.priority,
        correlation_id=had.correlation_id,
        reply_to=had.reply_to,
        message_id=had.message_id,
        timestamp=had.timestamp,
        type=had.type,
        app_id=had.app_id,
    )
    return Publication(by.names.dead, key, delivery.body, carried)


def stamp(when: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, such as ``2026-11-22T08:00:00.000Z``."""
    return when.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _event_headers(
    delivery: Delivery, trace: Mapping[str, str] | None, place: Place | None
) -> Headers:
    told = _trace(delivery) if trace is None else dict(trace)
    if place is not None:
        told[names.PLACE_HEADER] = str(place)
    return Headers.of(told) if told else NO_HEADERS


def _trace(delivery: Delivery) -> dict[str, str]:
    """W3C trace context, handed on from the message to its event."""
    headers = delivery.properties.headers
    if b"trace" not in headers.table:
        return {}
    found = {name: headers.text(name) for name in ("traceparent", "tracestate")}
    return {name: text for name, text in found.items() if text and len(text) <= TRACE_CHARACTERS}


def _short(text: str | None) -> str | None:
    return None if text is None else _bounded(text, SHORT_STRING_BYTES)


def _bounded(text: str, most: int) -> str:
    encoded = text.encode("utf-8", "replace")
    return text if len(encoded) <= most else encoded[:most].decode("utf-8", "ignore")
