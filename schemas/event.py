"""An event: what became of an edit, as a structured CloudEvent (CloudEvents 1.0, JSON format).

`Event` and `read_event` are for subscribers: they take what they do not know, so that a field
added later breaks nobody. `encode` is for the worker, which writes thousands a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from pydantic_core import PydanticSerializationError, to_json

from schemas.names import APPLIED_EVENT_TYPE, JSON_CONTENT_TYPE, REJECTED_EVENT_TYPE
from schemas.problem import FieldProblem
from schemas.reason import Reason

Outcome = Literal["applied", "rejected"]

_SOURCE: Final = "/task-edit/"
_NO_ACCOUNT: Final = "-"
_TYPES: Final[dict[str, str]] = {"applied": APPLIED_EVENT_TYPE, "rejected": REJECTED_EVENT_TYPE}


class EventData(BaseModel):
    """What became of one edit."""

    model_config = ConfigDict(frozen=True)

    messageId: str | None
    correlationId: str | None
    account: str | None
    appId: str | None
    jobId: int | None
    outcome: Outcome
    reason: Reason | None
    detail: str | None
    fields: tuple[FieldProblem, ...]
    apiStatus: str | None
    apiReason: str | None
    attempts: Annotated[int, Field(ge=0)]
    receivedAt: AwareDatetime
    finishedAt: AwareDatetime


class Event(BaseModel):
    """A CloudEvent that says what became of one edit."""

    model_config = ConfigDict(frozen=True)

    specversion: Literal["1.0"]
    id: Annotated[str, Field(min_length=1)]
    source: Annotated[str, Field(min_length=1)]
    type: Literal["task-edit.applied.v1", "task-edit.rejected.v1"]
    subject: str | None = None
    time: AwareDatetime
    datacontenttype: Literal["application/json"] = JSON_CONTENT_TYPE
    data: EventData


def read_event(body: bytes | str) -> Event:
    """Return the event that a message's body holds; raises pydantic's ValidationError."""
    return Event.model_validate_json(body)


def encode(  # noqa: PLR0913 - one keyword for each field of the contract
    *,
    event_id: str,
    outcome: Outcome,
    message_id: str | None,
    correlation_id: str | None,
    account: str | None,
    app_id: str | None,
    job_id: int | None,
    attempts: int,
    received_at: datetime,
    finished_at: datetime,
    reason: Reason | None = None,
    detail: str | None = None,
    fields: Sequence[FieldProblem] = (),
    api_status: str | None = None,
    api_reason: str | None = None,
) -> bytes:
    """Return an event as the body of a message: compact JSON in UTF-8, times in UTC.

    Both times are aware datetimes; `finished_at` is also the event's own time. Without a job
    there is no subject. Half a surrogate pair, which a publisher or the provider may have sent
    in a text, is written as a question mark: an event must always get out.
    """
    finished_at = finished_at.astimezone(UTC)
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": event_id,
        "source": _SOURCE + (account or _NO_ACCOUNT),
        "type": _TYPES[outcome],
        "subject": str(job_id),
        "time": finished_at,
        "datacontenttype": JSON_CONTENT_TYPE,
        "data": {
            "messageId": message_id,
            "correlationId": correlation_id,
            "account": account,
            "appId": app_id,
            "jobId": job_id,
            "outcome": outcome,
            "reason": reason,
            "detail": detail,
            "fields": fields,
            "apiStatus": api_status,
            "apiReason": api_reason,
            "attempts": attempts,
            "receivedAt": received_at.astimezone(UTC),
            "finishedAt": finished_at,
        },
    }
    if job_id is None:
        del event["subject"]
    try:
        return to_json(event)
    except PydanticSerializationError:
        return to_json(_as_utf8(event))


def _as_utf8(value: Any) -> Any:
    """Return the same value with texts that UTF-8 can hold."""
    match value:
        case Reason():
            return value.value
        case str():
            return value.encode(errors="replace").decode()
        case dict():
            return {key: _as_utf8(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_as_utf8(inner) for inner in value]
        case FieldProblem(field=field, problem=problem):
            return {"field": _as_utf8(field), "problem": _as_utf8(problem)}
        case _:
            return value
