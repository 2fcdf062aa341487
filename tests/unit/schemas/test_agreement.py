"""The published JSON Schema and the worker agree on what is accepted and what is refused.

What the schema cannot say is listed (`schemas.json_schema.BEYOND`) and told apart here by the
very words of the problems. Never does the worker take what the schema refuses.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft202012Validator

from schemas import Bounds, Invalid, Malformed, TaskEdit, read, validate
from tests.unit.schemas import messages

SCHEMA = json.loads(
    (Path(__file__).parents[3] / "schemas" / "json" / "edit.json").read_text(encoding="utf-8")
)
ECMA = jsonschema_rs.validator_for(SCHEMA)
PYTHON = Draft202012Validator(SCHEMA)

BEYOND = (
    "must be later than",
    "must not be before startDate",
    "must lie in the years 0001 to 9999 in the account's time zone",
)
"""Rules between fields, and of the account's zone; its other bounds are wide open here."""


def often(examples: int) -> settings:
    """As many examples, however slow the machine is just now."""
    return settings(
        max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )


def of_the_worker(document: dict[str, Any]) -> TaskEdit | Invalid | Malformed:
    """What the worker says, for an account that the edit may be of."""
    read_back = read(json.dumps(document).encode())
    if isinstance(read_back, Malformed):
        return read_back
    own = read_back.get("appId")
    app_ids = frozenset({own if isinstance(own, str) else "LILIN888"})
    return validate(read_back, Bounds(earliest="00:00", latest="23:59", app_ids=app_ids))


def is_beyond_the_schema(found: TaskEdit | Invalid | Malformed, document: dict[str, Any]) -> bool:
    """Whether the worker's refusal is for reasons that are listed, and for no other."""
    return isinstance(found, Invalid) and all(
        problem.problem.startswith(BEYOND)
        or (
            problem.problem.endswith("a number with a fraction or an exponent")
            and float(document[problem.field]).is_integer()
        )
        for problem in found.problems
    )


def agreed(document: dict[str, Any], allowed: bool) -> str:
    """Check one message; return what became of it."""
    found = of_the_worker(document)
    if isinstance(found, TaskEdit):
        assert allowed, "the worker takes what the schema refuses"
        return "taken"
    if allowed:
        assert is_beyond_the_schema(found, document), found
        return "beyond"
    return "refused"


def test_worker_and_schema_agree_on_every_value_in_every_place() -> None:
    seen = Counter(agreed(each, ECMA.is_valid(each)) for each in messages.every_single_damage())

    assert sum(seen.values()) > 10_000
    assert seen["taken"] > 500
    assert seen["refused"] > 1000
    assert seen["beyond"] > 100


def test_worker_and_schema_agree_on_mixtures() -> None:
    seen = all_agree(2000)

    assert seen["taken"] > 200
    assert seen["refused"] > 200
    assert seen["beyond"] > 20


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_worker_and_schema_agree_on_many_mixtures() -> None:
    seen = all_agree(12_000)

    assert sum(seen.values()) >= 10_000
    assert seen["taken"] > 1000
    assert seen["refused"] > 1000


def all_agree(examples: int) -> Counter[str]:
    seen: Counter[str] = Counter()

    @often(examples)
    @given(messages.edits)
    def run(document: dict[str, Any]) -> None:
        seen[agreed(document, ECMA.is_valid(document))] += 1

    run()
    return seen


@often(200)
@given(messages.edits)
def test_worker_and_schema_agree_by_another_validator(document: dict[str, Any]) -> None:
    if has_no_line_feed(document):
        agreed(document, PYTHON.is_valid(document))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_worker_and_schema_agree_on_every_value_by_another_validator() -> None:
    documents = [each for each in messages.every_single_damage() if has_no_line_feed(each)]

    seen = Counter(agreed(each, PYTHON.is_valid(each)) for each in documents)

    assert sum(seen.values()) > 10_000


def has_no_line_feed(document: dict[str, Any]) -> bool:
    """In Python's dialect $ also matches before a last line feed: there ECMA-262 is the judge."""
    return r"\n" not in json.dumps(document)
