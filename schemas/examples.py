"""Whole messages to show: in the JSON Schema files, in the documentation, in tests."""

from __future__ import annotations

from typing import Any, Final

EDITS: Final[tuple[dict[str, Any], ...]] = (
    {
        "appId": "LILIN888",
        "jobId": 123,
        "name": "Autumn reminder",
        "dialogFlowId": 8663,
        "mode": "AUTO",
        "startDateTime": "2026-12-01 09:30:00",
        "endDateTime": "2026-12-24T18:00:00+08:00",
        "dailyStartDateTime": "09:00",
        "dailyEndDateTime": "20:00",
        "robotCount": 1,
        "jobPhoneNumberId": 2959,
        "inactiveTimeList": [{"startTime": "12:00", "endTime": "13:00"}],
        "inactiveDateList": [{"startDate": "2026-12-05", "endDate": "2026-12-06"}],
        "daysOfWeek": ["MONDAY", "TUESDAY"],
        "redial": True,
        "redialCondition": ["CALL_LOSS", "NO_ANSWER"],
        "redialInterval": 30,
        "redialTimes": 2,
    },
    {
        "jobId": 124,
        "name": "Winter reminder",
        "dialogFlowId": 8663,
        "mode": "MANUAL",
        "dailyStartDateTime": "10:00",
        "dailyEndDateTime": "18:30",
        "robotCount": 5,
        "jobPhoneNumberId": 2959,
        "redial": False,
    },
)

APPLIED: Final[dict[str, Any]] = {
    "specversion": "1.0",
    "id": "0d8ff5b2-9a2b-5b8c-8f3e-2d1c8a4f6b10",
    "source": "/task-edit/acme",
    "type": "task-edit.applied.v1",
    "subject": "123",
    "time": "2026-11-22T08:00:00.212Z",
    "datacontenttype": "application/json",
    "data": {
        "messageId": "c0ffee00-0000-4000-8000-000000000001",
        "correlationId": None,
        "account": "acme",
        "appId": "LILIN888",
        "jobId": 123,
        "outcome": "applied",
        "reason": None,
        "detail": None,
        "fields": [],
        "apiStatus": "0",
        "apiReason": "success",
        "attempts": 1,
        "receivedAt": "2026-11-22T08:00:00.105Z",
        "finishedAt": "2026-11-22T08:00:00.212Z",
    },
}

REJECTED: Final[dict[str, Any]] = {
    "specversion": "1.0",
    "id": "7c1e4f0a-3b52-5d0e-9a57-60b5f6b1c2d3",
    "source": "/task-edit/acme",
    "type": "task-edit.rejected.v1",
    "subject": "124",
    "time": "2026-11-22T08:00:01.004Z",
    "datacontenttype": "application/json",
    "data": {
        "messageId": "c0ffee00-0000-4000-8000-000000000002",
        "correlationId": "order-77",
        "account": "acme",
        "appId": "LILIN888",
        "jobId": 124,
        "outcome": "rejected",
        "reason": "invalid",
        "detail": "redialTimes must be a whole number from 1 to 3 (the provider's status "
        "-31: redial times).",
        "fields": [
            {
                "field": "redialTimes",
                "problem": "must be a whole number from 1 to 3 (the provider's status "
                "-31: redial times)",
            }
        ],
        "apiStatus": None,
        "apiReason": None,
        "attempts": 0,
        "receivedAt": "2026-11-22T08:00:01.001Z",
        "finishedAt": "2026-11-22T08:00:01.004Z",
    },
}

SUPERSEDED: Final[dict[str, Any]] = {
    "specversion": "1.0",
    "id": "b1f0a3c4-8d27-5c1e-9b64-2a7d5e9f3c08",
    "source": "/task-edit/acme",
    "type": "task-edit.superseded.v1",
    "subject": "123",
    "time": "2026-11-22T08:00:00.209Z",
    "datacontenttype": "application/json",
    "data": {
        "messageId": "c0ffee00-0000-4000-8000-000000000003",
        "correlationId": None,
        "account": "acme",
        "appId": "LILIN888",
        "jobId": 123,
        "outcome": "superseded",
        "supersededBy": "c0ffee00-0000-4000-8000-000000000001",
        "reason": None,
        "detail": None,
        "fields": [],
        "apiStatus": None,
        "apiReason": None,
        "attempts": 0,
        "receivedAt": "2026-11-22T08:00:00.101Z",
        "finishedAt": "2026-11-22T08:00:00.209Z",
    },
}

DEAD_LETTER_HEADERS: Final[dict[str, str]] = {
    "taskedit-reason": "api_rejected",
    "taskedit-detail": "The API refused the edit: name already exists.",
    "taskedit-api-status": "-33",
    "taskedit-attempts": "1",
    "taskedit-account": "acme",
    "taskedit-exchange": "task-edit",
    "taskedit-routing-key": "LILIN888",
    "taskedit-received-at": "2026-11-22T08:00:00.105Z",
    "taskedit-dead-at": "2026-11-22T08:00:00.212Z",
    "taskedit-event-id": "5a0b7c52-71a9-5b0f-8d46-0a8f3e9d2c41",
    "taskedit-redrives": "0",
    "taskedit-version": "0.1.0",
}

CONTROL_ENTRY: Final[dict[str, Any]] = {
    "id": "6d1c2f4e-52a5-4a43-8d0b-2f5b1c9e7a10",
    "action": "pause",
    "account": "acme",
    "actor": "kim",
    "user": "operator",
    "via": "cli",
    "why": "price list is wrong",
    "at": "2026-11-22T08:00:00Z",
    "until": "2026-11-22T16:00:00Z",
}

OPERATION_RECORD: Final[dict[str, Any]] = {
    "id": "0f6f7f0e-9a0e-4a55-8a52-0c0a6a0f3b77",
    "phase": "ended",
    "at": "2026-11-22T08:05:00Z",
    "actor": "kim",
    "user": "operator",
    "via": "cli",
    "action": "redrive",
    "filter": {"reason": "api_rejected", "account": "acme"},
    "count": 1,
    "ids": ["7c1e4f0a-3b52-5d0e-9a57-60b5f6b1c2d3"],
    "why": "the script exists now",
    "result": {"redriven": 1},
}

HEARTBEAT: Final[dict[str, Any]] = {
    "replica": "worker-1",
    "version": "0.1.0",
    "at": "2026-11-22T08:00:00Z",
    "ready": True,
    "why": None,
    "ending": False,
    "accounts": {
        "acme": {
            "serving": True,
            "priority": 1473842911,
            "state": "suspended",
            "why": "account authentication failed",
            "api_status": "-1",
            "since": "2026-11-22T07:58:00Z",
            "until": None,
            "paused": None,
            "control": None,
            "rate_allowed": "20/s,600/m",
            "rate_used": 0,
            "in_flight": 0,
            "held": 200,
            "last_success": "2026-11-22T07:57:59Z",
        }
    },
}
