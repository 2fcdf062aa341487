"""The contract of the task-edit worker: what to publish to it, and what comes back.

Needs pydantic and nothing else, so that a publisher or subscriber in Python can use it alone.
"""

from __future__ import annotations

from schemas.bounds import Bounds
from schemas.cloudevent import unwrap
from schemas.dead_letter import DeadLetterHeaders
from schemas.document import Malformed, read
from schemas.edit import InactiveDates, InactiveTime, TaskEdit, api_body, validate
from schemas.event import Event, EventData, Outcome, encode, read_event
from schemas.files import export
from schemas.json_schema import json_schema
from schemas.names import Names, app_key, event_key
from schemas.problem import FieldProblem, Invalid
from schemas.reason import Reason

__all__ = [
    "Bounds",
    "DeadLetterHeaders",
    "Event",
    "EventData",
    "FieldProblem",
    "InactiveDates",
    "InactiveTime",
    "Invalid",
    "Malformed",
    "Names",
    "Outcome",
    "Reason",
    "TaskEdit",
    "api_body",
    "app_key",
    "encode",
    "event_key",
    "export",
    "json_schema",
    "read",
    "read_event",
    "unwrap",
    "validate",
]
