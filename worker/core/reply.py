"""What comes back from one call of the provider's API: answered, or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Answered:
    """The API took the call and said what it thinks of it.

    `status` is the API's own status as text (``"0"``, ``"-33"``) from an HTTP 2xx reply with a
    readable body, else ``"http:<code>"`` for HTTP 3xx, 4xx and throttling (429, 503 with
    Retry-After). Other 5xx are no answer: see `Unanswered`.
    """

    status: str
    reason: str | None = None
    """The API's words (untrusted, bounded to 500 characters), if any."""
    date: datetime | None = None
    """The reply's `Date` header, aware, for correcting our clock on ``-4``."""
    retry_after: timedelta | None = None
    """The reply's `Retry-After`, never negative; None when absent or unreadable."""


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Nothing that says anything of the edit: transport error, timeout, 5xx, unreadable body.

    `status` is ``"http:<code>"`` when a reply was read as far as that, else None. `detail` is one
    sentence for people, free of secrets and of the edit's content.
    """

    detail: str
    status: str | None = None


Reply = Answered | Unanswered
