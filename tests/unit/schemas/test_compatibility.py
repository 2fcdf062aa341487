"""No change breaks a publisher or a subscriber of a released version (tests/golden/README.md)."""

from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from schemas import (
    Bounds,
    DeadLetterHeaders,
    Invalid,
    Malformed,
    Reason,
    api_body,
    json_schema,
    read,
    read_event,
    unwrap,
    validate,
)
from tests.unit.schemas import messages
from tests.unit.schemas.builders import event

GOLDEN = Path(__file__).parents[2] / "golden"
VERSIONS = sorted(folder.name for folder in GOLDEN.iterdir() if folder.is_dir())
ACCOUNT = Bounds(app_ids=frozenset({"LILIN888"}))


def lines(name: str) -> list[Any]:
    """The file's lines, of every version, each with an id that says which it is."""
    return [
        pytest.param(line, id=f"{version}-{number}")
        for version in VERSIONS
        for number, line in enumerate(
            (GOLDEN / version / f"{name}.jsonl").read_bytes().decode().rstrip("\n").split("\n"), 1
        )
    ]


def schema_of(version: str, name: str) -> jsonschema_rs.Draft202012Validator:
    schema = json.loads((GOLDEN / version / "json" / f"{name}.json").read_text(encoding="utf-8"))
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True)


def outcome(message: dict[str, Any]) -> dict[str, Any]:
    """What becomes of a golden message today, in the words of the golden file."""
    body = message["body"].encode() if "body" in message else b64decode(message["body_base64"])
    found = read(body)
    with_id: dict[str, Any] = {}
    if "content_type" in message and not isinstance(found, Malformed):
        opened = unwrap(found)
        if isinstance(opened, Malformed):
            found = opened
        else:
            with_id["message_id"], found = opened
    if isinstance(found, Malformed):
        return {"reason": "malformed"}
    edit = validate(found, ACCOUNT)
    if isinstance(edit, Invalid):
        return {"reason": "invalid", "fields": sorted(each.field for each in edit.problems)}
    return {**with_id, "request": json.loads(api_body(edit, ACCOUNT))}


@pytest.mark.parametrize("line", lines("messages"))
def test_a_message_is_taken_or_refused_as_it_was(line: str) -> None:
    message = json.loads(line)
    given = ("case", "body", "body_base64", "content_type")

    assert outcome(message) == {k: v for k, v in message.items() if k not in given}


@pytest.mark.parametrize("version", VERSIONS)
def test_what_an_older_schema_took_is_taken(version: str) -> None:
    then, now = schema_of(version, "edit"), jsonschema_rs.validator_for(json_schema("edit"))
    good = [each for each in messages.every_single_damage() if then.is_valid(each)]

    assert len(good) > 500
    assert [each for each in good if not now.is_valid(each)] == []


@pytest.mark.parametrize("line", lines("events"))
def test_an_older_event_is_read(line: str) -> None:
    found = read_event(line)
    written = json.loads(line)

    assert (found.id, found.source, found.type) == (
        written["id"],
        written["source"],
        written["type"],
    )
    assert found.data.model_dump(mode="json", exclude_unset=True) == written["data"]
    assert jsonschema_rs.is_valid(json_schema("event"), written)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("reason", [None, *Reason])
def test_an_older_subscriber_reads_todays_events(version: str, reason: Reason | None) -> None:
    outcome = "applied" if reason is None else "rejected"
    body = event(outcome=outcome, reason=reason, job_id=None if reason else 1)

    assert schema_of(version, "event").is_valid(json.loads(body))


@pytest.mark.parametrize("line", lines("dead-letter-headers"))
def test_an_older_dead_letter_is_read(line: str) -> None:
    found = DeadLetterHeaders.model_validate_json(line)

    assert (
        found.model_dump(mode="json", by_alias=True).items()
        <= (
            {"taskedit-user-id": found.user_id, "taskedit-place": found.place} | json.loads(line)
        ).items()
    )
