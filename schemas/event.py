"""An event: what became of an edit, as a structured CloudEvent (CloudEvents 1.0, JSON format).

`Event` and `read_event` are for subscribers: they take what they do not know, so that a field
added later breaks nobody. `encode` is for the worker, which writes thousands a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from pydantic_core import PydanticSerializationError, to_json

from schemas.names import (
    APPLIED_EVENT_TYPE,
    JSON_CONTENT_TYPE,
    REJECTED_EVENT_TYPE,
    SUPERSEDED_EVENT_TYPE,
)
from schemas.problem import LONG_MAX, FieldProblem
from schemas.reason import Reason

Outcome = Literal["applied", "rejected", "superseded"]
OUTCOMES: Final[tuple[Outcome, ...]] = get_args(Outcome)

_SOURCE: Final = "/task-edit/"
_NO_ACCOUNT: Final = "-"
_TYPES: Final[dict[Outcome, str]] = {
    "applied": APPLIED_EVENT_TYPE,
    "rejected": REJECTED_EVENT_TYPE,
    "superseded": SUPERSEDED_EVENT_TYPE,
}


class EventData(BaseModel):
    """What became of one edit."""

    model_config = ConfigDict(frozen=True)

    messageId: str | None = Field(description="The edit's message id, if it had one.")
    correlationId: str | None = Field(description="The edit's correlation id, if it had one.")
    account: str | None = Field(description="The account that it was for; null if of none.")
    appId: str | None = Field(description="The edit's appId; null if it could not be read.")
    jobId: Annotated[int, Field(ge=1, le=LONG_MAX)] | None = Field(
        description="The edit's job; null if it could not be read."
    )
    outcome: Outcome = Field(description="Whether the provider took the edit.")
    supersededBy: str | None = Field(
        default=None, description="The message id of the newer edit, if it had one."
    )
    reason: Reason | None = Field(description="Why it was rejected; null if it was not.")
    detail: str | None = Field(description="The reason in a sentence; null if not rejected.")
    fields: tuple[FieldProblem, ...] = Field(
        description="What is wrong with which field of an invalid edit; else empty."
    )
    apiStatus: str | None = Field(
        description="The provider's status, or http: and the status of HTTP; null without a reply.",
        examples=["0", "-33", "http:503"],
    )
    apiReason: str | None = Field(description="The provider's words for its status.")
    attempts: Annotated[int, Field(ge=0)] = Field(
        description="Calls that counted; those throttled or suspended do not."
    )
    receivedAt: AwareDatetime = Field(description="When the worker first had the edit.")
    finishedAt: AwareDatetime = Field(description="When its outcome was certain.")


class Event(BaseModel):
    """A CloudEvent that says what became of one edit."""

    model_config = ConfigDict(frozen=True)

    specversion: Literal["1.0"] = Field(description="The version of CloudEvents.")
    id: Annotated[str, Field(min_length=1)] = Field(
        description="The same for every copy of this event, also when the edit was published twice."
    )
    source: Annotated[str, Field(min_length=1)] = Field(
        description="Whose event it is: /task-edit/ and the account, or - for none.",
        examples=["/task-edit/acme"],
    )
    type: Literal["task-edit.applied.v1", "task-edit.rejected.v1", "task-edit.superseded.v1"] = (
        Field(description="The outcome, and the version of this contract.")
    )
    subject: str | None = Field(default=None, description="The job id as text, if known.")
    time: AwareDatetime = Field(description="When the outcome was certain.")
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
    superseded_by: str | None = None,
) -> bytes:
    """Return an event as the body of a message: compact JSON in UTF-8, times in UTC.

    Both times are aware datetimes; `finished_at` is also the event's own time. Without a job
    there is no subject; `superseded_by` is told of what is superseded only. Half a surrogate pair,
    which a publisher or the provider may have sent in a text, is written as a question mark: an
    event must always get out.
    """
    finished_at = finished_at.astimezone(UTC)
    by = {"supersededBy": superseded_by} if outcome == "superseded" else {}
    event: dict[str, object] = {
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
            **by,
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
        return to_json(_in_utf8(event))


def _in_utf8(value: object) -> Any:  # noqa: ANN401 - any part of an event
    """Return the same part of an event with texts that UTF-8 can hold."""
    match value:
        case Reason():
            return value.value
        case str():
            return value.encode(errors="replace").decode()
        case dict():
            return {key: _in_utf8(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_in_utf8(inner) for inner in value]
        case FieldProblem(field=field, problem=problem):
            return {"field": _in_utf8(field), "problem": _in_utf8(problem)}
        case _:
            return value
