"""An account at the provider, and the settings of the provider itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ops.simulator.units import Limit


@dataclass(frozen=True, slots=True)
class Account:
    """One set of credentials and what the provider allows it.

    `app_ids` empty: any appId passes. `retry_after`: the header of a refused call
    as it stands (`"1"`, `"date+5"` for an HTTP date five seconds ahead), or none.
    """

    key: str
    secret: str
    app_ids: frozenset[str] = frozenset()
    limits: tuple[Limit, ...] = ()
    retry_after: str | None = None
    max_robots: int | None = None
    daily_window: tuple[str, str] = ("09:00", "20:00")


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds for every account; `clock_offset` moves the provider's clock, not the record's."""

    timestamp_window: timedelta = timedelta(seconds=60)
    clock_offset: timedelta = timedelta()
    numeric_status: bool = False
    unique_names: bool = False
    demand_redial: bool = False
