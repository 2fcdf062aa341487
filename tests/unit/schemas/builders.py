"""Edits and events that are good unless a test says otherwise."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from schemas import encode

RECEIVED = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
FINISHED = datetime(2026, 11, 22, 8, 0, 0, 250_000, tzinfo=UTC)

ABSENT: Any = ...
"""As a field's value: leave the field out."""


def edit(**changes: object) -> dict[str, Any]:
    """The provider's own example, with some fields changed or left out."""
    good: dict[str, object] = {
        "appId": "LILIN888",
        "jobId": 123,
        "name": "lilinname2",
        "dialogFlowId": 8663,
        "mode": "AUTO",
        "dailyStartDateTime": "09:00",
        "dailyEndDateTime": "20:00",
        "robotCount": 1,
        "jobPhoneNumberId": 2959,
        "redial": False,
        "startDateTime": "2022-09-16 08:00:00",
        "endDateTime": "2023-02-07 10:00:00",
    }
    return {name: value for name, value in (good | changes).items() if value is not ABSENT}


def body(document: object) -> bytes:
    return json.dumps(document).encode()


def event(**changes: object) -> bytes:
    """An applied event, with some of what `encode` takes changed."""
    good: dict[str, Any] = {
        "event_id": "e-1",
        "outcome": "applied",
        "message_id": "m-1",
        "correlation_id": None,
        "account": "acme",
        "app_id": "LILIN888",
        "job_id": 123,
        "attempts": 1,
        "received_at": RECEIVED,
        "finished_at": FINISHED,
        "api_status": "0",
        "api_reason": "success",
    }
    good.update(changes)
    return encode(**good)
