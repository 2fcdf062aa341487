"""Why an edit was rejected: a closed list, the same for events and for dead letters."""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Reason(StrEnum):
    """Why an edit was rejected."""

    meaning: str
    """One sentence for a person who has to do something about it."""

    def __new__(cls, word: str, meaning: str) -> Self:
        """Take the word that is published, and what it means."""
        reason = str.__new__(cls, word)
        reason._value_ = word
        reason.meaning = meaning
        return reason

    MALFORMED = (
        "malformed",
        "It cannot be read: not one JSON object, in UTF-8, of at most 64 KiB and 32 levels.",
    )
    INVALID = ("invalid", "It was read and is against a rule; the event's fields say which.")
    UNKNOWN_APP = ("unknown_app", "Its appId, the routing key, belongs to no account here.")
    API_REJECTED = ("api_rejected", "The provider refused this edit; the API status says why.")
    EXHAUSTED = ("exhausted", "Every attempt was used up, and none was answered for good.")
    EXPIRED = ("expired", "Its time to live ended in the queue.")
    POISON = ("poison", "It ended the worker's process three times, or the broker gave up on it.")
    INTERNAL = ("internal", "A bug of the worker; the edit itself may be good.")
