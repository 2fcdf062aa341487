"""The JSON Schemas of the contract as AsyncAPI's schema objects.

AsyncAPI's own schemas go by draft 07, the files in ``schemas/json`` by 2020-12. What these use
means the same in both, but for two things: where definitions are kept, and that draft 07 looks
at nothing beside a ``$ref``.
"""

from __future__ import annotations

from typing import Any, Final

from schemas.json_schema import NAMES, json_schema
from schemas.names import APPLIED_EVENT_TYPE, REJECTED_EVENT_TYPE

_NOT_TAKEN_OVER: Final = frozenset(("$schema", "$id", "$defs", "examples"))
"""Of a file's outermost level. The examples stand with the messages."""


def schemas() -> dict[str, Any]:
    """Return the models of the contract, and those within, by title, for ``components``.

    There is an event's for each outcome.
    """
    found: dict[str, Any] = {}
    for name in NAMES:
        schema = json_schema(name)
        outer = {key: value for key, value in schema.items() if key not in _NOT_TAKEN_OVER}
        found |= {outer["title"]: outer} | schema.get("$defs", {})
    event = found.pop("Event")
    found["AppliedEvent"] = _of_type(APPLIED_EVENT_TYPE, event)
    found["RejectedEvent"] = _of_type(REJECTED_EVENT_TYPE, event)
    return {title: _in_draft_07(schema, found) for title, schema in found.items()}


def reference(title: str) -> dict[str, str]:
    """Return a reference to one of `schemas`."""
    return {"$ref": f"#/components/schemas/{title}"}


def _of_type(event_type: str, event: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an event of one type, so that a message is one of its channel's only."""
    kind = event["properties"]["type"]
    one = {key: inner for key, inner in kind.items() if key != "enum"} | {"const": event_type}
    return event | {"properties": event["properties"] | {"type": one}}


def _in_draft_07(value: Any, definitions: dict[str, Any]) -> Any:  # noqa: ANN401 - part of a schema
    if isinstance(value, list):
        return [_in_draft_07(item, definitions) for item in value]
    if not isinstance(value, dict):
        return value
    if "$ref" in value:
        title = value["$ref"].removeprefix("#/$defs/")
        beside = {key: inner for key, inner in value.items() if key != "$ref"}
        if not beside:
            return reference(title)
        value = definitions[title] | beside
    return {
        key: _in_draft_07(inner, definitions)
        for key, inner in value.items()
        if _can_be_shown(key, inner)
    }


def _can_be_shown(key: str, value: Any) -> bool:  # noqa: ANN401 - part of a schema
    """Tell all but examples that are lists of objects, which pages show as ``[object Object]``."""
    lists = (shown for shown in value if isinstance(shown, list)) if key == "examples" else ()
    return not any(isinstance(item, dict) for shown in lists for item in shown)
