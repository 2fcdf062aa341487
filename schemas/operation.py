"""What operators did to letters and accounts: records of the operations stream.

Each operation has two records with one id: *begun*, which RabbitMQ has confirmed before anything
is done, and *ended*. One that was begun and never ended was cut short.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

Action = Literal["redrive", "discard", "import", "mend", "pause", "resume", "prune"]


class OperationRecord(BaseModel):
    """One half of an operation."""

    model_config = ConfigDict(frozen=True)

    id: Annotated[str, Field(min_length=1)] = Field(description="Of the operation; a UUID.")
    phase: Literal["begun", "ended"] = Field(title="Phase", description="Which half.")
    at: AwareDatetime = Field(description="When, by the clock of whoever did it.")
    actor: str = Field(description="Who did it, as they say: a claim.")
    user: str | None = Field(
        default=None, description="The RabbitMQ user; the broker vouches for the same user_id."
    )
    via: Literal["cli", "console"] = Field(title="Via", description="By which tool.")
    action: Action = Field(title="Operation action", description="What was done.")
    filter: dict[str, Any] = Field(
        default_factory=dict, description="What was asked for: account, reason, ids, …"
    )
    count: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="How many letters it is about; null of any other operation."
    )
    ids: tuple[str, ...] = Field(
        default=(), description="Event ids of the letters, the first 1,000 of them."
    )
    why: str | None = Field(default=None, description="In the operator's words.")
    result: dict[str, Any] | None = Field(
        default=None, description="What came of it; null while it is only begun."
    )


def read_operation(body: bytes) -> OperationRecord | None:
    """The record that a message's body holds; None for one that is none, or of a newer kind."""
    try:
        return OperationRecord.model_validate_json(body)
    except ValidationError:
        return None
