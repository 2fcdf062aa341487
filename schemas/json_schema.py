"""The contract as JSON Schema 2020-12, for publishers and subscribers in any language.

`schemas.export` writes the files in ``schemas/json``; a test keeps them true. The edit's file
and the worker agree on what is accepted and refused, `BEYOND` excepted.
"""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from schemas import examples
from schemas.dead_letter import DeadLetterHeaders
from schemas.edit import TaskEdit
from schemas.event import Event
from schemas.names import APPLIED_EVENT_TYPE, REJECTED_EVENT_TYPE, SUPERSEDED_EVENT_TYPE
from schemas.reason import Reason

BEYOND: Final = (
    "dailyEndDateTime is later than dailyStartDateTime",
    "endDateTime is later than startDateTime",
    "in inactiveTimeList, endTime is later than startTime",
    "in inactiveDateList, endDate is not before startDate",
    "appId is of the account, and left out only if the account has exactly one",
    "the daily window is within the account's, 09:00 to 20:00 by default",
    "date-times lie in the years 0001 to 9999 in the account's time zone",
    "whole numbers are written without a fraction or an exponent: 1, not 1.0",
    "the message as a whole: UTF-8, no key twice, at most 64 KiB and 32 levels",
)
"""What the worker checks of an edit and its JSON Schema cannot say."""

_MODELS: Final[dict[str, type[BaseModel]]] = {
    "edit": TaskEdit,
    "event": Event,
    "dead-letter-headers": DeadLetterHeaders,
}


_AUTO_NEEDS_A_START: Final = {
    "if": {"properties": {"mode": {"const": "AUTO"}}, "required": ["mode"]},
    "then": {
        "properties": {"startDateTime": {"type": "string"}},
        "required": ["startDateTime"],
    },
}
_BESIDES: Final[dict[str, dict[str, Any]]] = {
    "edit": {
        **_AUTO_NEEDS_A_START,
        "$comment": f"The worker checks besides: {'; '.join(BEYOND)}.",
        "examples": list(examples.EDITS),
    },
    "event": {"examples": [examples.APPLIED, examples.REJECTED, examples.SUPERSEDED]},
    "dead-letter-headers": {"examples": [examples.DEAD_LETTER_HEADERS]},
}
"""What the files say and the models cannot."""

_ORDER: Final = ("$schema", "$id", "title", "description", "$comment", "type", "required")
"""What a reader wants to know first."""


NAMES: Final = tuple(_MODELS)
"""What there is a JSON Schema of; also the names of the files."""


def json_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema of the ``edit``, the ``event`` or the ``dead-letter-headers``."""
    schema: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:task-edit:schema:{name}:v1",
        **schema_of(_MODELS[name]),
        **_BESIDES[name],
    }
    return _ordered(schema)


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """Return a model's JSON Schema, its parts in ``$defs``."""
    schema = model.model_json_schema(schema_generator=_Readable)
    if reason := schema.get("$defs", {}).get(Reason.__name__):
        meanings = (f"`{each.value}`: {each.meaning}" for each in Reason)
        reason["description"] = " ".join((f"{Reason.__doc__}", *meanings))
    return _by_outcome(schema) if model is Event else schema


def _by_outcome(event: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an event as one of several, each with a title and data of its own.

    The same could be said with if, then and else, which those who write code from schemas leave
    out or misread.
    """
    parts = event["$defs"]
    data = parts.pop("EventData")
    by = data["properties"].pop("supersededBy")
    reasons = {
        "applied": {"description": "Null, for it was applied.", "type": "null"},
        "rejected": {"description": "Why it was rejected.", "$ref": "#/$defs/Reason"},
        "superseded": {"description": "Null, for it was not rejected.", "type": "null"},
    }
    told = {
        "applied": ("The provider took the edit.", APPLIED_EVENT_TYPE),
        "rejected": ("The edit was not applied, and why.", REJECTED_EVENT_TYPE),
        "superseded": (
            "The edit was not called, for a newer one that states all its fields was applied.",
            SUPERSEDED_EVENT_TYPE,
        ),
    }
    for outcome, (meaning, event_type) in told.items():
        title = f"{outcome.capitalize()}Event"
        parts[f"{title}Data"] = {
            **data,
            "title": f"{title}Data",
            "description": meaning,
            "properties": data["properties"]
            | {
                "outcome": {"description": meaning, "type": "string", "const": outcome},
                "reason": reasons[outcome],
            }
            | ({"supersededBy": by} if outcome == "superseded" else {}),
            "required": [*data["required"], *(["supersededBy"] if outcome == "superseded" else [])],
        }
        kind = {"description": event["properties"]["type"]["description"], "type": "string"}
        parts[title] = {
            "title": title,
            "description": f"A CloudEvent: {meaning[0].lower()}{meaning[1:]}",
            "type": "object",
            "required": event["required"],
            "properties": event["properties"]
            | {"type": kind | {"const": event_type}, "data": {"$ref": f"#/$defs/{title}Data"}},
        }
    return {
        "title": event["title"],
        "description": event["description"],
        "type": "object",
        "oneOf": [{"$ref": f"#/$defs/{outcome.capitalize()}Event"} for outcome in told],
        "$defs": parts,
    }


def _ordered(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the same schema, and all within, in the order of `_ORDER`."""
    first = {key: schema[key] for key in _ORDER if key in schema}
    return {
        key: _ordered(value) if isinstance(value, dict) and key != "examples" else value
        for key, value in (first | schema).items()
    }


class _Readable(GenerateJsonSchema):
    """The models' JSON Schema as a person would write it."""

    def sort(self, value: JsonSchemaValue, parent_key: str | None = None) -> JsonSchemaValue:
        """Keep the order of the contract."""
        del parent_key
        return value

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ANN401 - as in pydantic
        """Give no titles made up from field names."""
        del schema
        return False

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """Say ``"type": ["integer", "null"]`` where pydantic would say it with anyOf."""
        inner = self.generate_inner(schema["schema"])
        if not isinstance(inner.get("type"), str):
            return super().nullable_schema(schema)
        return inner | {"type": [inner["type"], "null"]}

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Say nothing of a default that only stands for "left out"."""
        if "default" in schema and not schema["default"]:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)

    def enum_schema(self, schema: core_schema.EnumSchema) -> JsonSchemaValue:
        """Name the reasons in their order; what each means is told by `schema_of`."""
        if schema["cls"] is not Reason:
            return super().enum_schema(schema)
        return {"type": "string", "enum": [each.value for each in Reason]}
