"""The words a publisher gets: what is wrong, by which rule, and nothing of what was sent."""
# ruff: noqa: E501 - a row of a table of texts is a line

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from schemas import FieldProblem, Invalid, TaskEdit, validate
from schemas.edit import InactiveDates, InactiveTime
from schemas.problem import RULES, STATUSES
from tests.unit.schemas.builders import edit
from worker.core.judge import MEANINGS

if TYPE_CHECKING:
    from pydantic import BaseModel


def told(**changes: object) -> list[str]:
    found = validate(edit(**changes))
    return [f"{p.field} {p.problem}" for p in found.problems] if isinstance(found, Invalid) else []


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"jobId": "123"}, "jobId must be a whole number from 1 to 9223372036854775807 (the provider's Long), not text"),
        ({"jobId": 0}, "jobId must be a whole number from 1 to 9223372036854775807 (the provider's Long)"),
        ({"jobId": None}, "jobId is required (null counts as absent)"),
        ({"robotCount": 1.0}, "robotCount must be a whole number from 1 to 2147483647 (the provider's Int), not a number with a fraction or an exponent"),
        ({"mode": "auto"}, "mode must be MANUAL or AUTO (the provider's status -27: parameter check failed)"),
        ({"mode": 1}, "mode must be MANUAL or AUTO (the provider's status -27: parameter check failed), not a whole number"),
        ({"redial": 0}, "redial must be true or false (the provider's Boolean), not a whole number"),
        ({"redialTimes": True}, "redialTimes must be a whole number from 1 to 3 (the provider's status -31: redial times), not true or false"),
        ({"redialInterval": 1441}, "redialInterval must be a whole number of minutes, at most 1440 (the provider's status -30: redial interval)"),
        ({"redialCondition": "BUSY"}, "redialCondition must be a list of redial conditions (the provider's status -29: redial rule), not text"),
        ({"inactiveTimeList": [None]}, "inactiveTimeList[0] must be an object with startTime and endTime, not null"),
        ({"inactiveTimeList": [{"startTime": "12:00"}]}, "inactiveTimeList[0].endTime is required"),
        ({"daysOfWeek": [[]]}, "daysOfWeek[0] must be MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY, SATURDAY or SUNDAY, not a list"),
        ({"startDateTime": "20261201T013000Z"}, "startDateTime must be a real date and time, YYYY-MM-DD HH:MM:SS or ISO 8601 with an offset like 2026-12-01T01:30:00Z (the provider's status -27: parameter check failed)"),
    ],
)  # fmt: skip
def test_a_problem_says_the_rule_and_what_was_found_instead(
    changes: dict[str, object], text: str
) -> None:
    assert told(**changes) == [text]


@pytest.mark.parametrize(
    ("unknown", "nearest"),
    [
        ("redialTime", "redialTimes"),
        ("jobid", "jobId"),
        ("job_id", "jobId"),
        ("APPID", "appId"),
        ("dialog-flow-id", "dialogFlowId"),
        ("startTime", "startDateTime"),
        ("dailyStart", "dailyStartDateTime"),
        ("dayOfWeek", "daysOfWeek"),
        ("robots", "robotCount"),
        ("phoneNumberId", "jobPhoneNumberId"),
        ("inactiveDates", "inactiveDateList"),
    ],
)
def test_an_unknown_field_is_told_with_the_nearest_known_one(unknown: str, nearest: str) -> None:
    text = f"{unknown} is not a field that the API knows; the nearest is {nearest}"

    assert told(**{unknown: None}) == [text]


def test_within_a_list_the_nearest_is_one_of_the_items_own() -> None:
    assert told(
        inactiveTimeList=[{"startTime": "12:00", "endTime": "13:00", "start": 1}],
        inactiveDateList=[{"startDate": "2022-01-01", "endDate": "2022-01-01", "enddate": 1}],
    ) == [
        "inactiveTimeList[0].start is not a field that the API knows; the nearest is startTime",
        "inactiveDateList[0].enddate is not a field that the API knows; the nearest is endDate",
    ]


def test_every_field_has_its_rule_in_words() -> None:
    spans: dict[str, type[BaseModel]] = {
        "inactiveTimeList[]": InactiveTime,
        "inactiveDateList[]": InactiveDates,
    }
    paths = {
        *TaskEdit.model_fields,
        *spans,
        *(f"{path}.{name}" for path, model in spans.items() for name in model.model_fields),
        "daysOfWeek[]",
        "redialCondition[]",
    }

    assert set(RULES) == paths
    assert all(text.startswith("must be ") for text in RULES.values())


def test_values_are_never_told() -> None:
    secret = "s3cret-s3cret"
    wrong = dict.fromkeys(TaskEdit.model_fields, secret) | {
        "daysOfWeek": [secret],
        "redialCondition": [[secret]],
        "inactiveTimeList": [{"startTime": secret, "endTime": secret}],
        "inactiveDateList": {secret: secret},
        "appId": [secret],
        "name": {secret: secret},
    }

    found = validate(wrong)

    assert isinstance(found, Invalid)
    assert len(found.problems) == 19
    assert secret not in repr(found)


def test_the_detail_says_all_in_one_sentence() -> None:
    found = validate(edit(mode="auto", redialTimes=4))

    assert isinstance(found, Invalid)
    assert found.detail == (
        "mode must be MANUAL or AUTO (the provider's status -27: parameter check failed); "
        "redialTimes must be a whole number from 1 to 3 (the provider's status -31: redial times)."
    )


def test_a_flood_of_unknown_fields_stays_small() -> None:
    hostile = {f"\x1b{'é' * 5000}{number}": None for number in range(5000)}

    found = validate(edit() | hostile)

    assert isinstance(found, Invalid)
    assert len(found.problems) == 100
    assert max(len(problem.field) for problem in found.problems) <= 64
    assert all(problem.field.isprintable() for problem in found.problems)
    assert len(found.detail) <= 1000


def test_a_flood_of_list_items_stays_small() -> None:
    found = validate(edit(daysOfWeek=[None] * 10_000, inactiveTimeList=[{}] * 5000))

    assert isinstance(found, Invalid)
    assert len(found.problems) == 100


def test_an_empty_name_of_a_field_is_told() -> None:
    assert validate(edit() | {"": 1}) == Invalid(
        (FieldProblem("", "is not a field that the API knows; the nearest is appId"),)
    )


def test_however_many_fields_are_unknown_each_is_told_its_nearest_name() -> None:
    known = list(TaskEdit.model_fields)
    spelt = {re.sub("([A-Z])", r"_\1", name).lower() + "_": name for name in known}

    assert sorted(told(**dict.fromkeys(spelt))) == sorted(
        f"{other} is not a field that the API knows; the nearest is {name}"
        for other, name in spelt.items()
    )
    many = told(**{f"unknown{number}": 1 for number in range(100)})
    assert sum("the nearest is" in each for each in many) == 100


def test_a_status_means_the_same_here_and_to_the_judge() -> None:
    assert MEANINGS.items() >= STATUSES.items()


def test_every_status_that_a_publisher_reads_of_is_told_in_english() -> None:
    told = [*RULES.values(), *(field.description or "" for field in TaskEdit.model_fields.values())]
    named = [each for text in told for each in re.findall(r"status (-\d+.*)", text)]

    assert len(named) > 15
    assert [each for each in named if MEANINGS[each.partition(":")[0]] not in each] == []
