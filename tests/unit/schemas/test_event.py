"""What subscribers get."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import jsonschema_rs
import pytest
from pydantic import ValidationError

from schemas import Event, FieldProblem, Reason, json_schema, read_event
from tests.unit.schemas.builders import event


def test_an_event_is_what_the_contract_shows() -> None:
    assert json.loads(event()) == {
        "specversion": "1.0",
        "id": "e-1",
        "source": "/task-edit/acme",
        "type": "task-edit.applied.v1",
        "subject": "123",
        "time": "2026-11-22T08:00:00.250000Z",
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
            "finishedAt": "2026-11-22T08:00:00.250000Z",
        },
    }


def test_its_fields_are_in_the_contracts_order() -> None:
    written = json.loads(event())

    assert list(written) == list(Event.model_fields)
    told = list(Event.model_fields["data"].annotation.model_fields)  # type: ignore[union-attr]
    superseded = json.loads(event(outcome="superseded", superseded_by="m-2"))
    assert list(superseded["data"]) == told
    assert list(written["data"]) == [name for name in told if name != "supersededBy"]


def test_a_superseded_event_says_by_which_message() -> None:
    body = event(outcome="superseded", superseded_by="m-2", api_status=None, api_reason=None)
    read = read_event(body)

    assert (read.type, read.data.outcome) == ("task-edit.superseded.v1", "superseded")
    assert read.data.supersededBy == "m-2"
    assert jsonschema_rs.validator_for(json_schema("event")).is_valid(json.loads(body))
    assert read_event(event()).data.supersededBy is None


def test_a_rejected_event_says_what_is_wrong_with_which_field() -> None:
    body = event(
        outcome="rejected",
        reason=Reason.INVALID,
        detail="redialTimes must be 1 to 3.",
        fields=(FieldProblem("redialTimes", "must be 1 to 3"),),
        api_status=None,
        api_reason=None,
        attempts=0,
    )
    written = json.loads(body)

    assert written["type"] == "task-edit.rejected.v1"
    assert written["data"]["reason"] == "invalid"
    assert written["data"]["fields"] == [{"field": "redialTimes", "problem": "must be 1 to 3"}]
    assert read_event(body).data.reason is Reason.INVALID


def test_of_an_unreadable_edit_of_no_account_there_is_no_subject() -> None:
    written = json.loads(event(account=None, app_id=None, job_id=None, outcome="rejected"))

    assert "subject" not in written
    assert written["source"] == "/task-edit/-"
    assert written["data"]["account"] is None
    assert written["data"]["jobId"] is None


def test_times_are_in_utc_whatever_zone_they_come_in() -> None:
    shanghai = timezone(timedelta(hours=8))

    written = json.loads(event(finished_at=datetime(2026, 11, 22, 16, 0, tzinfo=shanghai)))

    assert written["time"] == written["data"]["finishedAt"] == "2026-11-22T08:00:00Z"


def test_a_subscriber_reads_what_the_worker_writes() -> None:
    found = read_event(event())

    assert found.time == datetime(2026, 11, 22, 8, 0, 0, 250_000, tzinfo=UTC)
    assert (found.id, found.subject, found.data.jobId) == ("e-1", "123", 123)


def test_a_field_of_a_later_version_breaks_no_subscriber() -> None:
    later = json.loads(event())
    later["data"]["latency"] = 7
    later["traceparent"] = "00-…"

    assert read_event(json.dumps(later)) == read_event(event())


@pytest.mark.parametrize(
    "changes",
    [{"specversion": "0.3"}, {"type": "other"}, {"id": ""}, {"data": None}, {"time": "now"}],
)
def test_what_is_no_event_of_ours_is_not_read(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        read_event(json.dumps(json.loads(event()) | changes))


def test_half_a_surrogate_pair_does_not_stop_an_event() -> None:
    body = event(
        outcome="rejected",
        reason=Reason.API_REJECTED,
        api_reason="名\ud800",
        message_id="\udfff",
        fields=(FieldProblem("a\ud83d", "b"),),
    )
    found = read_event(body)

    assert found.data.apiReason == "名?"
    assert found.data.messageId == "?"
    assert found.data.reason is Reason.API_REJECTED
    assert found.data.fields == (FieldProblem("a?", "b"),)
    assert found.time == read_event(event()).time
