"""Why an edit was rejected: a closed list, the same for events and for dead letters."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why an edit was rejected."""

    MALFORMED = "malformed"
    """It cannot be read: not one JSON object in UTF-8 of a sensible size and depth."""

    INVALID = "invalid"
    """It was read, and is against a rule. The event's ``fields`` say which."""

    UNKNOWN_APP = "unknown_app"
    """Its appId (its routing key) belongs to no account of this worker."""

    API_REJECTED = "api_rejected"
    """The provider refused this edit. The event's ``apiStatus`` says why."""

    EXHAUSTED = "exhausted"
    """Every attempt was used up without an answer that settles it."""

    EXPIRED = "expired"
    """Its time to live ended while it was in the queue."""

    POISON = "poison"
    """It ended the worker's process three times, or the broker gave up on it."""

    INTERNAL = "internal"
    """A bug of the worker. The edit may be good: redrive it after an update."""
