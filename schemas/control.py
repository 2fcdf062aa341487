"""What operators want of an account: entries of the control stream.

Workers read the stream from its first entry; the last one of an account that has not ended holds.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from schemas.names import ACCOUNT_PATTERN


class ControlEntry(BaseModel):
    """One wish of an operator, for the whole fleet."""

    model_config = ConfigDict(frozen=True)

    id: Annotated[str, Field(min_length=1)] = Field(description="Of this entry; a UUID.")
    action: Literal["pause", "resume"] = Field(
        title="Control action", description="What is wanted."
    )
    account: Annotated[str, Field(pattern=ACCOUNT_PATTERN)] = Field(description="Of which account.")
    actor: str = Field(description="Who wants it, as they say: a claim.")
    user: str | None = Field(
        default=None, description="The RabbitMQ user; the broker vouches for the same user_id."
    )
    via: Literal["cli", "console"] = Field(title="Via", description="By which tool.")
    why: str | None = Field(default=None, description="In the operator's words.")
    at: AwareDatetime = Field(description="When, by the clock of whoever wanted it.")
    until: AwareDatetime | None = Field(
        default=None, description="When a pause ends by itself; null if it does not."
    )


def read_control_entry(body: bytes) -> ControlEntry | None:
    """The entry that a message's body holds; None for one that is none, or of a newer kind."""
    try:
        return ControlEntry.model_validate_json(body)
    except ValidationError:
        return None
