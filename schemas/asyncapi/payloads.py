"""The JSON Schemas of the contract as AsyncAPI's schema objects.

AsyncAPI's own schemas go by draft 07, the files in ``schemas/json`` by 2020-12. What these use
means the same in both, but for two things: where definitions are kept, and that draft 07 looks
at nothing beside a ``$ref``.
"""

from __future__ import annotations

from typing import Any, Final

from schemas.json_schema import NAMES, json_schema

_NOT_TAKEN_OVER: Final = frozenset(("$schema", "$id", "$defs", "examples"))
"""Of a file's outermost level. The examples stand with the messages."""


def schemas() -> dict[str, Any]:
    """Return the models of the contract, and those within, by title, for ``components``."""
    found: dict[str, Any] = {}
    for name in NAMES:
        schema = json_schema(name)
        outer = {key: value for key, value in schema.items() if key not in _NOT_TAKEN_OVER}
        found |= {outer["title"]: outer} | schema.get("$defs", {})
    return {title: _in_draft_07(schema) for title, schema in found.items()}


def reference(title: str) -> dict[str, str]:
    """Return a reference to one of `schemas`."""
    return {"$ref": f"#/components/schemas/{title}"}


def _in_draft_07(value: Any) -> Any:  # noqa: ANN401 - any part of a schema
    if isinstance(value, list):
        return [_in_draft_07(item) for item in value]
    if not isinstance(value, dict):
        return value
    target = value.get("$ref")
    if target is None:
        return {key: _in_draft_07(inner) for key, inner in value.items()}
    referred = reference(target.removeprefix("#/$defs/"))
    beside = {key: inner for key, inner in value.items() if key != "$ref"}
    return beside | {"allOf": [referred]} if beside else referred
