"""What a verdict calls for: the event, the dead letter, the reply, field by field."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import DeadLetterHeaders, FieldProblem, Reason, read_event
from tests.unit.builders import NOW, SIGNED, delivery, event, head, headers, properties
from worker.core.decode import MessageInfo
from worker.core.dedup import Known
from worker.core.headers import Headers
from worker.core.message import PERSISTENT, Publication
from worker.core.settlement import Settlement, settle, settle_again, settle_known
from worker.core.verdict import Applied, Rejected, Superseded

if TYPE_CHECKING:
    from worker.core.message import Delivery
    from worker.core.verdict import Ending

FINISHED = NOW + timedelta(seconds=1.5)
APPLIED = Applied("0", "success")
REJECTED = Rejected(Reason.API_REJECTED, "the API answered -33", (), "-33", "name exists")
INVALID = Rejected(Reason.INVALID, "jobId is required.", (FieldProblem("jobId", "is required"),))
STRANGER = MessageInfo(None, None, None, None, None, None)


def settled(
    message: Delivery | None = None,
    verdict: Ending = APPLIED,
    who: MessageInfo | None = None,
    attempts: int = 1,
) -> Settlement:
    return settle(
        message or delivery(),
        who or head(),
        verdict,
        attempts=attempts,
        now=FINISHED,
        chance_id=lambda: "by-chance",
        by=SIGNED,
    )


def letter(message: Delivery | None = None, verdict: Rejected = REJECTED) -> Publication:
    found = settled(message, verdict).letter
    assert found is not None
    return found


def texts(publication: Publication) -> dict[str, str | None]:
    table = publication.properties.headers
    return {name: table.text(name) for name, _ in table}


def test_an_applied_edit_has_its_event_and_no_letter() -> None:
    found = settled()

    assert found.letter is None
    assert found.reply is None
    assert (found.event.exchange, found.event.routing_key) == (
        "task-edit.events",
        "applied.LILIN888",
    )
    body = json.loads(found.event.body)
    event_id = body.pop("id")
    assert body == {
        "specversion": "1.0",
        "source": "/task-edit/acme",
        "type": "task-edit.applied.v1",
        "subject": "123",
        "time": "2026-11-22T08:00:01.500000Z",
        "datacontenttype": "application/json",
        "data": {
            "messageId": "m-1",
            "correlationId": None,
            "account": "acme",
            "appId": "LILIN888",
            "jobId": 123,
            "outcome": "applied",
            "reason": None,
            "detail": None,
            "fields": [],
            "apiStatus": "0",
            "apiReason": "success",
            "attempts": 1,
            "receivedAt": "2026-11-22T08:00:00Z",
            "finishedAt": "2026-11-22T08:00:01.500000Z",
        },
    }
    had = found.event.properties
    assert (had.message_id, had.correlation_id) == (event_id, "m-1")
    assert had.type == "task-edit.applied.v1"
    assert had.content_type == "application/cloudevents+json"
    assert had.delivery_mode == PERSISTENT
    assert had.timestamp == int(FINISHED.timestamp())


@pytest.mark.parametrize(
    ("verdict", "data"),
    [
        (REJECTED, {"reason": "api_rejected", "apiStatus": "-33", "apiReason": "name exists"}),
        (INVALID, {"reason": "invalid", "fields": [{"field": "jobId", "problem": "is required"}]}),
        (Rejected(Reason.EXHAUSTED, "no reply", (), "http:503"), {"apiStatus": "http:503"}),
        (Rejected(Reason.POISON, "it ended the process"), {"reason": "poison", "apiStatus": None}),
    ],
)
def test_a_rejected_edit_says_why_in_its_event(verdict: Rejected, data: dict[str, Any]) -> None:
    found = settled(verdict=verdict, attempts=3)

    read = read_event(found.event.body)
    assert found.event.routing_key == "rejected.LILIN888"
    assert (read.type, read.data.outcome) == ("task-edit.rejected.v1", "rejected")
    assert (read.data.detail, read.data.attempts) == (verdict.detail, 3)
    told = json.loads(found.event.body)["data"]
    assert data.items() <= told.items()


def test_a_superseded_edit_has_an_event_that_names_the_newer_one_and_no_letter() -> None:
    found = settled(verdict=Superseded("m-2"), attempts=0)
    told = read_event(found.event.body)

    assert found.letter is None
    assert found.event.routing_key == "superseded.LILIN888"
    assert found.event.properties.type == told.type == "task-edit.superseded.v1"
    assert (told.data.outcome, told.data.supersededBy) == ("superseded", "m-2")
    assert (told.data.reason, told.data.apiStatus, told.data.attempts) == (None, None, 0)


def test_a_repeat_of_a_superseded_edit_is_told_under_the_same_id() -> None:
    known = Known(None, superseded=True)
    again = settle_known(delivery(), head(), known, now=FINISHED, by=SIGNED)
    first = settled(verdict=Superseded("m-2"), attempts=0)

    assert again.event.properties.message_id == first.event.properties.message_id
    assert read_event(again.event.body).data.outcome == "superseded"


def test_an_events_id_is_that_of_the_repeat_or_else_by_chance() -> None:
    twice = {settled().event.properties.message_id for _ in range(2)}
    nobody = settled(who=replace(head(), identity=None)).event

    assert len(twice) == 1
    assert nobody.properties.message_id == "by-chance"
    assert json.loads(nobody.body)["id"] == "by-chance"


def test_an_edit_of_which_nothing_is_known_has_an_event_all_the_same() -> None:
    found = settled(verdict=REJECTED, who=STRANGER)

    read = read_event(found.event.body)
    assert (read.source, read.subject, read.data.account, read.data.jobId) == (
        "/task-edit/-",
        None,
        None,
        None,
    )
    assert found.event.routing_key == "rejected._"
    assert found.event.properties.correlation_id is None
    assert found.letter
    assert found.letter.properties.headers.text("taskedit-account") == ""


@pytest.mark.parametrize(
    ("app_id", "key"),
    [("a_B-9", "a_B-9"), ("a.b", "_"), ("#", "_"), ("", "_"), (None, "_"), ("x" * 101, "_")],
)
def test_an_app_id_that_is_no_word_of_a_routing_key_is_written_as_one(
    app_id: str | None, key: str
) -> None:
    assert settled(who=head(app_id=app_id)).event.routing_key == f"applied.{key}"


@pytest.mark.parametrize(
    ("correlation_id", "message_id", "told"),
    [("c-1", "m-1", "c-1"), (None, "m-1", "m-1"), (None, None, None), ("ü" * 200, None, "ü" * 127)],
)
def test_the_event_correlates_by_the_correlation_id_or_else_the_message_id(
    correlation_id: str | None, message_id: str | None, told: str | None
) -> None:
    who = head(correlation_id=correlation_id, message_id=message_id)

    assert settled(who=who).event.properties.correlation_id == told


def test_the_trace_context_goes_on_into_the_event_and_nothing_else_does() -> None:
    own = headers(traceparent="00-a-b-01", tracestate="k=v", secret="s", x_death="d")

    found = settled(delivery(properties=properties(headers=own))).event

    assert texts(found) == {"traceparent": "00-a-b-01", "tracestate": "k=v"}


def test_a_trace_context_of_any_length_does_not_go_into_the_event() -> None:
    own = headers(traceparent="0" * 2000, tracestate="k" * 120_000)

    found = settled(delivery(properties=properties(headers=own))).event

    assert texts(found) == {}


@pytest.mark.parametrize("verdict", [APPLIED, REJECTED])
def test_who_asks_for_a_reply_gets_the_same_event(verdict: Applied | Rejected) -> None:
    found = settled(delivery(properties=properties(reply_to="their.queue")), verdict)

    assert found.reply == Publication("", "their.queue", found.event.body, found.event.properties)


def test_a_letter_is_the_message_byte_for_byte_with_its_own_properties() -> None:
    own = properties(
        content_encoding="identity",
        correlation_id="c-1",
        reply_to="r",
        type="t",
        app_id="publisher",
        timestamp=1_700_000_000,
        priority=3,
        delivery_mode=1,
        user_id="guest",
        expiration="60000",
    )
    message = delivery(b"\xff not json", properties=own)

    found = letter(message)

    assert (found.exchange, found.body) == ("task-edit.dead", b"\xff not json")
    assert replace(found.properties, headers=own.headers) == replace(
        own, delivery_mode=PERSISTENT, user_id=None, expiration=None
    )


def test_a_letters_headers_say_why_whence_and_when() -> None:
    own = properties(headers=headers(taskedit_redrives="2"), user_id="guest")
    message = delivery(properties=own, exchange="task-edit", routing_key="LILIN888")

    found = settled(message, REJECTED, attempts=4)

    assert found.letter
    told = texts(found.letter)
    assert told == {
        "taskedit-reason": "api_rejected",
        "taskedit-detail": "the API answered -33",
        "taskedit-api-status": "-33",
        "taskedit-attempts": "4",
        "taskedit-account": "acme",
        "taskedit-exchange": "task-edit",
        "taskedit-routing-key": "LILIN888",
        "taskedit-received-at": "2026-11-22T08:00:00.000Z",
        "taskedit-dead-at": "2026-11-22T08:00:01.500Z",
        "taskedit-event-id": found.event.properties.message_id,
        "taskedit-redrives": "2",
        "taskedit-version": "1.2.3",
        "taskedit-user-id": "guest",
    }
    DeadLetterHeaders.model_validate(told)  # raises if the contract has others


def test_a_letter_of_nobody_in_particular_has_no_user_header_and_no_status() -> None:
    told = texts(letter(verdict=INVALID))

    assert "taskedit-user-id" not in told
    assert told["taskedit-api-status"] == ""


def test_the_publishers_headers_are_carried_except_what_rabbitmq_would_act_upon() -> None:
    own = headers(mine="1", CC="a", BCC="b", x_death="c", X_Delay="d", taskedit_reason="forged")

    told = texts(letter(delivery(properties=properties(headers=own))))

    assert told["mine"] == "1"
    assert told["taskedit-reason"] == "api_rejected"
    assert not {"CC", "BCC", "x-death", "X-Delay"} & set(told)


@pytest.mark.parametrize("one", ["x", "é", "你", "\U0001f600"])
def test_a_letters_detail_has_at_most_1_kib_and_no_half_character(one: str) -> None:
    told = texts(letter(verdict=Rejected(Reason.INTERNAL, "…" + one * 2000)))

    detail = told["taskedit-detail"]
    assert detail is not None
    assert 1020 < len(detail.encode()) <= 1024
    assert detail == "…" + one * (len(detail) - 1)


def test_headers_that_would_not_fit_a_frame_are_left_behind_and_not_the_letter() -> None:
    """RabbitMQ closes the connection on a content header above its frame size of 128 KiB."""
    own = headers(small="1").merged({"big": "x" * 130_000, "last": "2"})

    found = letter(delivery(properties=properties(headers=own)))

    told = texts(found)
    assert len(found.properties.headers.table) < 126 * 1024
    assert (told["small"], told["last"], "big" in told) == ("1", "2", False)
    assert told["taskedit-reason"] == "api_rejected"


def test_text_that_is_no_utf_8_is_carried_in_properties_and_marked_in_headers_and_event() -> None:
    odd = "a\udcff"
    message = delivery(
        exchange=odd, routing_key=odd, properties=properties(message_id=odd, user_id=odd)
    )

    found = settled(message, REJECTED, replace(head(), message_id="a?"))

    assert found.letter
    assert found.letter.properties.message_id == odd
    assert found.letter.routing_key == odd
    told = texts(found.letter)
    assert {told[f"taskedit-{name}"] for name in ("exchange", "routing-key", "user-id")} == {"a?"}
    assert read_event(found.event.body).data.messageId == "a?"


@given(
    text=st.text(st.characters(), max_size=30),
    table=st.binary(max_size=40),
    verdict=st.sampled_from((APPLIED, REJECTED, INVALID)),
)
@settings(max_examples=40)
def test_whatever_a_message_brings_its_event_and_its_letter_can_be_written(
    text: str, table: bytes, verdict: Applied | Rejected
) -> None:
    own = properties(headers=Headers(table), correlation_id=text, reply_to=text, user_id=text)
    message = delivery(routing_key=text, exchange=text, properties=own)
    rejected = isinstance(verdict, Rejected)
    if isinstance(verdict, Rejected):
        verdict = replace(verdict, detail=text, words=text)

    found = settled(message, verdict, head(app_id=text, message_id=text))

    assert read_event(found.event.body).id == found.event.properties.message_id
    assert (found.letter is not None) is rejected


def test_a_repeat_is_settled_by_its_event_of_before_and_no_second_letter() -> None:
    before = event("e-7", b"as it was")

    found = settle_again(delivery(properties=properties(reply_to="r")), before)

    assert (found.event, found.letter) == (before, None)
    assert found.reply == Publication("", "r", b"as it was", before.properties)
