"""How each worker is doing: heartbeats, published to the fleet exchange every few seconds.

They are transient: whoever watches binds a queue of their own.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError


class Paused(BaseModel):
    """A pause that holds."""

    model_config = ConfigDict(frozen=True)

    by: str = Field(description="Who paused the account, as they say: a claim.")
    why: str | None
    since: AwareDatetime
    until: AwareDatetime | None = Field(description="When it ends by itself; null if it does not.")


class LaneBeat(BaseModel):
    """How one account is doing on one replica."""

    model_config = ConfigDict(frozen=True)

    serving: bool = Field(
        description="Whether its edits come to this replica; else it stands by, or is cut off."
    )
    priority: int | None = Field(
        default=None,
        description="The replica's consumer priority for the lane. On RabbitMQ 4.0 to 4.2 the"
        " highest serves it, once all that another holds is settled.",
    )
    state: str = Field(
        description="running, throttled, suspended or paused; newer workers may know more."
    )
    why: str | None = None
    api_status: str | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    paused: Paused | None = Field(default=None, title="Lane pause")
    control: str | None = Field(
        default=None, description="Id of the account's last control entry that is heeded."
    )
    rate_allowed: str = Field(description="The account's limits, such as 20/s,600/m.")
    rate_used: Annotated[float, Field(ge=0)] = Field(
        default=0.0, description="Calls a second, over the last few seconds."
    )
    in_flight: int = 0
    held: int = Field(default=0, description="Delivered to this replica and not settled.")
    last_success: AwareDatetime | None = None


class Heartbeat(BaseModel):
    """How one replica is doing."""

    model_config = ConfigDict(frozen=True)

    replica: str
    version: str
    at: AwareDatetime
    ready: bool
    why: str | None = Field(default=None, description="Why it is not ready.")
    ending: bool = Field(default=False, description="The last heartbeat: a clean end.")
    accounts: dict[str, LaneBeat]


def read_heartbeat(body: bytes) -> Heartbeat | None:
    """The heartbeat that a message's body holds; None for one that is none, or of a newer kind."""
    try:
        return Heartbeat.model_validate_json(body)
    except ValidationError:
        return None
