"""The JSON Schemas of the contract as AsyncAPI's schema objects.

AsyncAPI's own schemas go by draft 07, the files in ``schemas/json`` by 2020-12. What these use
means the same in both, but for two things: where definitions are kept, and that draft 07 looks
at nothing beside a ``$ref``.
"""

from __future__ import annotations

from typing import Any, Final

from schemas.control import ControlEntry
from schemas.heartbeat import Heartbeat
from schemas.json_schema import NAMES, json_schema, schema_of
from schemas.operation import OperationRecord

_NOT_TAKEN_OVER: Final = frozenset(("$schema", "$id", "$defs", "$comment", "examples"))
"""Of a file's outermost level. The examples stand with the messages."""

_MISREAD: Final = frozenset(("if", "then", "else"))
"""Those who write code from schemas leave it out or take it for unconditional. ``edit.json`` has
it, for those who check; here the field's description says that mode AUTO needs a start."""

_EDIT_IN_CLOUD_EVENT: Final[dict[str, Any]] = {
    "title": "EditInCloudEvent",
    "description": "An edit as the data of a structured CloudEvent 1.0.",
    "type": "object",
    "required": ["specversion", "id", "source", "type", "data"],
    "properties": {
        "specversion": {
            "type": "string",
            "const": "1.0",
            "description": "The version of CloudEvents.",
        },
        "id": {"type": "string", "minLength": 1, "description": "The message id."},
        "source": {"type": "string", "minLength": 1, "description": "Who you are."},
        "type": {"type": "string", "minLength": 1, "description": "Anything of yours."},
        "data": {"$ref": "#/$defs/TaskEdit"},
    },
}
_TRACE_HEADERS: Final[dict[str, Any]] = {
    "title": "TraceHeaders",
    "description": "W3C Trace Context, handed on from an edit to its event.",
    "type": "object",
    "properties": {
        "traceparent": {
            "type": "string",
            "description": "The trace and the span.",
            "examples": ["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
        },
        "tracestate": {
            "type": "string",
            "description": "What a vendor adds.",
            "examples": ["vendor=value"],
        },
    },
}
_DEAD_LETTER_BODY: Final[dict[str, Any]] = {
    "title": "DeadLetterBody",
    "description": "What was published, byte for byte; it may be no JSON at all.",
}


def schemas() -> dict[str, Any]:
    """Return the models of the contract, and all that is an object or a choice, by its name.

    For ``components``. There is an event's for each outcome. What generators make a type of has
    a name of its own, so that none is called anonymous.
    """
    found: dict[str, Any] = {}
    models = [json_schema(name) for name in NAMES]
    models += [schema_of(each) for each in (ControlEntry, OperationRecord, Heartbeat)]
    for schema in (*models, _EDIT_IN_CLOUD_EVENT, _TRACE_HEADERS, _DEAD_LETTER_BODY):
        outer = {key: value for key, value in schema.items() if key not in _NOT_TAKEN_OVER}
        found |= {outer["title"]: outer} | schema.get("$defs", {})
    del found["Event"]
    choices: dict[str, Any] = {}
    told = {title: _in_draft_07(schema, choices) for title, schema in found.items()}
    # Reason is a choice itself, and was found under its own name.
    return told | {name: choice for name, choice in choices.items() if name not in told}


def reference(title: str) -> dict[str, str]:
    """Return a reference to one of `schemas`."""
    return {"$ref": f"#/components/schemas/{title}"}


def _in_draft_07(schema: dict[str, Any], choices: dict[str, Any]) -> dict[str, Any]:
    """Return a schema as draft 07 has it; each choice within is added to `choices` by its name."""
    return {
        key: _inner(value, choices)
        for key, value in schema.items()
        if key not in _MISREAD and _can_be_shown(key, value)
    }


def _inner(value: Any, choices: dict[str, Any]) -> Any:  # noqa: ANN401 - part of a schema
    if isinstance(value, list):
        return [_inner(item, choices) for item in value]
    if not isinstance(value, dict):
        return value
    if "$ref" in value:  # only descriptions stand beside one, and draft 07 has nothing there
        return reference(value["$ref"].removeprefix("#/$defs/"))
    schema = _in_draft_07(value, choices)
    if not isinstance(schema.get("enum"), list):
        return schema
    name = "".join(word.capitalize() for word in schema["title"].split())
    choices[name] = schema | {"title": name}
    return reference(name)


def _can_be_shown(key: str, value: Any) -> bool:  # noqa: ANN401 - part of a schema
    """Tell all but examples that are lists of objects, which pages show as ``[object Object]``."""
    lists = (shown for shown in value if isinstance(shown, list)) if key == "examples" else ()
    return not any(isinstance(item, dict) for shown in lists for item in shown)
