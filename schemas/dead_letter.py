"""The headers that tell of a dead letter: why, whence and when.

They stand beside the publisher's own. The body and the properties are the edit's, byte for byte.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from schemas import names
from schemas.reason import Reason

DETAIL_AT_MOST: Final = 1024
"""Bytes; so no more characters than that either."""

_Count = Annotated[str, Field(pattern="^[0-9]+$")]
_Instant = Annotated[
    str,
    Field(
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?Z$",
        examples=["2026-11-22T08:00:00.000Z"],
    ),
]


class DeadLetterHeaders(BaseModel):
    """What the worker adds to the headers of an edit that it sets aside. All of it is text."""

    model_config = ConfigDict(frozen=True, validate_by_name=True, validate_by_alias=True)

    reason: Reason = Field(
        alias=names.REASON_HEADER, description="Why it was rejected, as in its event."
    )
    detail: Annotated[str, Field(max_length=DETAIL_AT_MOST)] = Field(
        alias=names.DETAIL_HEADER, description="The reason in a sentence; 1 KiB at most."
    )
    api_status: str = Field(
        alias=names.API_STATUS_HEADER,
        description="The provider's status, or http: and the status of HTTP; empty without one.",
        examples=["-33", "http:503", ""],
    )
    attempts: _Count = Field(alias=names.ATTEMPTS_HEADER, description="Calls that counted.")
    account: Annotated[str, Field(pattern=r"^[a-z0-9-]{0,40}$")] = Field(
        alias=names.ACCOUNT_HEADER, description="The account that it was for; empty for none."
    )
    exchange: str = Field(
        alias=names.EXCHANGE_HEADER, description="Where it was published; empty for the default."
    )
    routing_key: str = Field(
        alias=names.ROUTING_KEY_HEADER, description="The routing key it was published with."
    )
    received_at: _Instant = Field(
        alias=names.RECEIVED_AT_HEADER, description="When the worker first had it."
    )
    dead_at: _Instant = Field(alias=names.DEAD_AT_HEADER, description="When it was set aside.")
    event_id: Annotated[str, Field(min_length=1)] = Field(
        alias=names.EVENT_ID_HEADER, description="The id of its rejected event."
    )
    redrives: _Count = Field(
        alias=names.REDRIVES_HEADER, description="How often it was sent again by an operator."
    )
    version: Annotated[str, Field(min_length=1)] = Field(
        alias=names.VERSION_HEADER, description="The version of the worker that set it aside."
    )
    place: Annotated[str, Field(pattern=r"^([0-9]+\.[0-9]+)?$")] = Field(
        default="",
        alias=names.PLACE_HEADER,
        description="Where it stood in its lane's order; only there while there is a journal.",
        examples=["4711.5"],
    )
    user_id: str = Field(
        default="",
        alias=names.USER_ID_HEADER,
        description="The broker's user who published it; only there if the message said so.",
    )
