"""The published JSON Schema files are true, valid and complete."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import pytest
from jsonschema import Draft202012Validator

from schemas import Reason, examples, export, json_schema
from tests.unit.schemas.builders import event

if TYPE_CHECKING:
    from collections.abc import Iterator

PUBLISHED = Path(__file__).parents[3] / "schemas" / "json"
NAMES = ["dead-letter-headers", "edit", "event"]


def published(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((PUBLISHED / f"{name}.json").read_text(encoding="utf-8"))
    return found


def test_the_files_are_what_the_models_say(tmp_path: Path) -> None:
    written = {path.name: path.read_text(encoding="utf-8") for path in export(tmp_path / "new")}
    there = {path.name: path.read_text(encoding="utf-8") for path in PUBLISHED.iterdir()}
    there["asyncapi.yaml"] = (PUBLISHED.parent / "asyncapi.yaml").read_text(encoding="utf-8")

    assert there == written, (
        "run: taskedit schema export schemas/json && mv schemas/json/asyncapi.yaml schemas/"
    )
    assert sorted(written) == ["asyncapi.yaml", *(f"{name}.json" for name in NAMES)]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_a_valid_schema_of_2020_12(name: str) -> None:
    schema = published(name)

    Draft202012Validator.check_schema(schema)
    jsonschema_rs.meta.validate(schema)
    assert schema == json.loads(json.dumps(json_schema(name)))
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"urn:task-edit:schema:{name}:v1"


@pytest.mark.parametrize("name", NAMES)
def test_every_field_is_described(name: str) -> None:
    undescribed = [
        path
        for path, field in _fields(published(name))
        if "description" not in field and "$ref" not in field and "const" not in field
    ]

    assert undescribed == []


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_are_good(name: str) -> None:
    schema = published(name)
    validator = jsonschema_rs.validator_for(schema, validate_formats=True)

    assert schema["examples"]
    assert [e.message for shown in schema["examples"] for e in validator.iter_errors(shown)] == []
    for path, field in _fields(schema):
        inner = jsonschema_rs.validator_for(field | {"$defs": schema.get("$defs", {})})
        bad = [shown for shown in field.get("examples", []) if not inner.is_valid(shown)]
        assert (path, bad) == (path, [])


def test_an_event_of_the_worker_is_good() -> None:
    validator = jsonschema_rs.validator_for(published("event"), validate_formats=True)
    applied = json.loads(event())
    rejected = json.loads(event(outcome="rejected", reason=Reason.POISON, job_id=None))

    assert validator.is_valid(applied)
    assert validator.is_valid(rejected)
    assert not validator.is_valid(applied | {"type": rejected["type"]})
    assert not validator.is_valid(rejected | {"type": applied["type"]})
    assert not validator.is_valid(json.loads(event(outcome="rejected", reason=None)))
    assert not validator.is_valid(applied | {"time": "today"})


def test_reasons_are_told_with_their_meaning() -> None:
    told = published("event")["$defs"]["Reason"]

    assert told["enum"] == list(Reason)
    assert [each for each in Reason if f"`{each}`: {each.meaning}" not in told["description"]] == []


@pytest.mark.parametrize(
    ("changes", "good"),
    [
        ({}, True),
        ({"taskedit-user-id": "guest", "x": 1, "traceparent": "00-…"}, True),
        ({"taskedit-api-status": "", "taskedit-account": "", "taskedit-exchange": ""}, True),
        ({"taskedit-reason": "because"}, False),
        ({"taskedit-attempts": 1}, False),
        ({"taskedit-detail": "x" * 1025}, False),
        ({"taskedit-dead-at": "2026-11-22 08:00:00"}, False),
        ({"taskedit-event-id": None}, False),
    ],
)
def test_headers_of_a_dead_letter(changes: dict[str, object], good: bool) -> None:
    headers = {**examples.DEAD_LETTER_HEADERS, **changes}

    assert jsonschema_rs.is_valid(published("dead-letter-headers"), headers) is good


def _fields(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for name, field in schema.get("properties", {}).items():
        yield f"{path}{name}", field
    for name, inner in schema.get("$defs", {}).items():
        yield from _fields(inner, f"{name}.")
