"""An account: one set of API credentials and the limits and rules that go with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from schemas import Bounds
from worker.core.judge import Policy
from worker.core.rate_limit import Rate

if TYPE_CHECKING:
    from pydantic import SecretStr


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where and how the API is called: all that the transport needs besides the credentials."""

    url: str
    """The base address, such as ``https://api.itniotech.com/aivoice``; no slash at the end."""
    connect_timeout: timedelta = timedelta(seconds=5)
    call_timeout: timedelta = timedelta(seconds=30)
    """For the whole call, from the first byte sent to the last byte read."""
    proxy: str | None = field(default=None, repr=False)
    """It may hold a password."""
    ca_file: str | None = None

    @property
    def task_edit_url(self) -> str:
        """Where edits are sent."""
        return f"{self.url}/taskEdit"


@dataclass(frozen=True, slots=True)
class Account:
    """Everything a lane needs to know of its account."""

    name: str
    api_key: str = field(repr=False)
    api_secret: SecretStr
    endpoint: Endpoint
    bounds: Bounds = field(default_factory=Bounds)
    """Zone, daily window and appIds: what an edit may say for this account."""
    rates: tuple[Rate, ...] = (Rate(10, 1.0),)
    concurrency: int = 16
    policy: Policy = field(default_factory=Policy)
    coalesce: bool = False
    """Whether a waiting edit that a newer one repeats is passed over: `worker.core.coalescing`."""
