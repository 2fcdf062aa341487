"""The contract of the task-edit worker: what to publish to it, and what comes back.

Needs pydantic and nothing else, so that a publisher or subscriber in Python can use it alone.
"""

from __future__ import annotations

from schemas.bounds import Bounds
from schemas.cloudevent import unwrap
from schemas.control import ControlEntry, read_control_entry
from schemas.dead_letter import DeadLetterHeaders
from schemas.document import Malformed, read
from schemas.edit import InactiveDates, InactiveTime, TaskEdit, api_body, validate
from schemas.event import OUTCOMES, Event, EventData, Outcome, encode, read_event
from schemas.files import export
from schemas.heartbeat import Heartbeat, LaneBeat, Paused, read_heartbeat
from schemas.json_schema import json_schema
from schemas.names import Names, app_key, event_key
from schemas.operation import Action, OperationRecord, read_operation
from schemas.problem import FieldProblem, Invalid
from schemas.reason import Reason

__all__ = [
    "OUTCOMES",
    "Action",
    "Bounds",
    "ControlEntry",
    "DeadLetterHeaders",
    "Event",
    "EventData",
    "FieldProblem",
    "Heartbeat",
    "InactiveDates",
    "InactiveTime",
    "Invalid",
    "LaneBeat",
    "Malformed",
    "Names",
    "OperationRecord",
    "Outcome",
    "Paused",
    "Reason",
    "TaskEdit",
    "api_body",
    "app_key",
    "encode",
    "event_key",
    "export",
    "json_schema",
    "read",
    "read_control_entry",
    "read_event",
    "read_heartbeat",
    "read_operation",
    "unwrap",
    "validate",
]
