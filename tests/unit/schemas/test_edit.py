"""Each field of an edit by itself: what is taken, and what is refused."""

from __future__ import annotations

from itertools import chain
from typing import Any

import pytest

from schemas import Invalid, TaskEdit, validate
from tests.unit.schemas.builders import ABSENT, edit

INT_MAX = 2**31 - 1
LONG_MAX = 2**63 - 1
REQUIRED = (
    "appId",
    "jobId",
    "name",
    "dialogFlowId",
    "mode",
    "dailyStartDateTime",
    "dailyEndDateTime",
    "robotCount",
    "jobPhoneNumberId",
    "redial",
)
OPTIONAL = (
    "endDateTime",
    "inactiveTimeList",
    "inactiveDateList",
    "daysOfWeek",
    "redialCondition",
    "redialInterval",
    "redialTimes",
)
NOON = {"startTime": "12:00", "endTime": "13:00"}
FEAST = {"startDate": "2022-02-05", "endDate": "2022-02-07"}
BLANKS = " \t\n\r\v\f\x1c\x1f\x85\xa0\u1680\u2000\u200a\u2028\u2029\u202f\u205f\u3000"


def problems(document: dict[str, Any]) -> list[str]:
    found = validate(document)
    return [each.field for each in found.problems] if isinstance(found, Invalid) else []


def test_the_providers_own_example_is_taken() -> None:
    assert isinstance(validate(edit()), TaskEdit)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("appId", ["a", " a ", "应用", "a.b#*", "x" * 1000]),
        ("jobId", [1, 123, INT_MAX + 1, LONG_MAX]),
        ("name", ["a", " a ", "秋季 提醒", "\u200b", "\x00", "x" * 10_000]),
        ("dialogFlowId", [1, INT_MAX]),
        ("mode", ["AUTO", "MANUAL"]),
        ("robotCount", [1, INT_MAX]),
        ("jobPhoneNumberId", [1, INT_MAX]),
        ("startDateTime", ["0001-01-01 00:00:00", "2020-02-29 23:59:59", "2000-02-29 00:00:00"]),
        ("startDateTime", ["2022-01-01T00:00Z", "2022-01-01T00:00:00Z", "2022-01-01 00:00:00Z"]),
        ("startDateTime", ["2022-01-01T00:00:00.1+08:00", "2022-01-01T00:00:00,123456789-0330"]),
        ("startDateTime", ["2022-01-01T00:00+08", "2022-01-01T00:00:00-00:00"]),
        ("endDateTime", ["9999-12-31 23:59:59", "2024-02-29T23:59:59+23:59", None]),
        ("dailyStartDateTime", ["09:00", "19:59"]),
        ("dailyEndDateTime", ["09:01", "20:00"]),
        ("inactiveTimeList", [[], [NOON], [NOON] * 3, None]),
        ("inactiveDateList", [[], [FEAST], [FEAST] * 3, None]),
        ("daysOfWeek", [[], ["MONDAY"], ["SUNDAY", "SUNDAY"], ["MONDAY"] * 20, None]),
        ("redial", [True, False]),
        ("redialCondition", [[], ["CALL_LOSS", "VACANT_NUMBER"], ["BUSY"] * 30, None]),
        ("redialInterval", [-(2**31), -1, 0, 1, 1440, None]),
        ("redialTimes", [1, 2, 3, None]),
    ],
)
def test_a_field_takes(field: str, values: list[object]) -> None:
    assert {repr(value): problems(edit(**{field: value})) for value in values} == {
        repr(value): [] for value in values
    }


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("appId", ["", " ", BLANKS, 1, True, ["a"], {}]),
        ("jobId", [0, -1, LONG_MAX + 1, 10**400, "123", 1.0, 1.5, True, [], {}]),
        ("name", ["", " ", BLANKS, *BLANKS, 1, True, [], {}]),
        ("dialogFlowId", [0, -1, INT_MAX + 1, "1", 1.0, True]),
        ("robotCount", [0, -1, INT_MAX + 1, "1", 1.0, True]),
        ("jobPhoneNumberId", [0, -1, INT_MAX + 1, "1", 1.0, True]),
        ("mode", ["auto", "Auto", "AUTO ", "", "BOTH", 1, True, ["AUTO"], {}]),
        ("startDateTime", ["", "2022-01-01", "2022-01-01 00:00", "2022-01-01 0:00:00"]),
        ("startDateTime", ["2022-01-01T00:00:00", "2022-01-01 00:00:00 ", "2022-01-01 00:00:00\n"]),
        ("startDateTime", ["2022-02-29 00:00:00", "1900-02-29 00:00:00", "2022-04-31 00:00:00"]),
        ("startDateTime", ["2022-00-01 00:00:00", "2022-13-01 00:00:00", "0000-01-01 00:00:00"]),
        ("startDateTime", ["2022-01-01 24:00:00", "2022-01-01 23:60:00", "2022-01-01 23:59:60"]),
        ("startDateTime", ["2022-01-01T00Z", "20220101T000000Z", "2022-W01-1T00:00Z"]),
        ("startDateTime", ["2022-01-01T00:00z", "2022-01-01T00:00+24:00", "2022-01-01t00:00Z"]),
        ("startDateTime", ["٢٠٢٢-01-01 00:00:00", "2022-01-01 00:00:00.5", 1640995200, True, []]),
        ("endDateTime", ["", "2022-02-29 00:00:00", "2024-02-30T00:00Z", 1, []]),
        ("dailyStartDateTime", ["9:00", "09:0", "09:00:00", "24:00", "12:60", "0900", "", 9, []]),
        ("dailyEndDateTime", ["9:30", "20:00\n", " 19:00", "19:00Z", "", 20, True, []]),
        ("inactiveTimeList", [[NOON] * 4, {}, NOON, "12:00", 1, True]),
        ("inactiveDateList", [[FEAST] * 4, {}, FEAST, "2022-02-05", 1, True]),
        ("daysOfWeek", ["MONDAY", {}, {"MONDAY": 1}, 1, True]),
        ("redial", [0, 1, "true", "", [], {}]),
        ("redialCondition", ["BUSY", {}, 1, True]),
        ("redialInterval", [1441, -(2**31) - 1, "30", 30.0, True, []]),
        ("redialTimes", [0, 4, -1, "1", 1.0, True, []]),
    ],
)
def test_a_field_refuses(field: str, values: list[object]) -> None:
    assert {repr(value): problems(edit(**{field: value})) for value in values} == {
        repr(value): [field] for value in values
    }


@pytest.mark.parametrize(
    ("field", "value", "path"),
    [
        ("daysOfWeek", ["MONDAY", "monday"], "daysOfWeek[1]"),
        ("daysOfWeek", [None], "daysOfWeek[0]"),
        ("redialCondition", ["BUSY", "BUSY", 1], "redialCondition[2]"),
        ("inactiveTimeList", [NOON, None], "inactiveTimeList[1]"),
        ("inactiveTimeList", ["12:00"], "inactiveTimeList[0]"),
        ("inactiveTimeList", [NOON, {**NOON, "endTime": "9:00"}], "inactiveTimeList[1].endTime"),
        ("inactiveTimeList", [{**NOON, "startTime": None}], "inactiveTimeList[0].startTime"),
        ("inactiveTimeList", [{"endTime": "09:00"}], "inactiveTimeList[0].startTime"),
        ("inactiveTimeList", [{**NOON, "name": None}], "inactiveTimeList[0].name"),
        ("inactiveDateList", [{**FEAST, "endDate": "2022-2-7"}], "inactiveDateList[0].endDate"),
        (
            "inactiveDateList",
            [{**FEAST, "startDate": "2023-02-29"}],
            "inactiveDateList[0].startDate",
        ),
        (
            "inactiveDateList",
            [FEAST, FEAST, {**FEAST, "endDate": 1}],
            "inactiveDateList[2].endDate",
        ),
    ],
)
def test_what_is_wrong_within_a_list_is_named_by_its_path(
    field: str, value: list[object], path: str
) -> None:
    assert problems(edit(**{field: value})) == [path]


@pytest.mark.parametrize("field", REQUIRED)
def test_a_required_field_is_there_and_not_null(field: str) -> None:
    assert problems(edit(**{field: ABSENT})) == [field]
    assert problems(edit(**{field: None})) == [field]


@pytest.mark.parametrize("field", OPTIONAL)
def test_null_is_absent(field: str) -> None:
    assert validate(edit(**{field: None})) == validate(edit(**{field: ABSENT}))


@pytest.mark.parametrize("value", [None, 1, "", []])
def test_an_unknown_field_is_a_problem_even_when_null(value: object) -> None:
    assert problems(edit(redialTime=value)) == ["redialTime"]


def test_redial_fields_are_never_demanded() -> None:
    absent = dict.fromkeys(("redialCondition", "redialInterval", "redialTimes"), ABSENT)

    assert problems(edit(redial=True, **absent)) == []


def test_the_fields_are_those_of_the_api() -> None:
    assert set(TaskEdit.model_fields) == {*chain(REQUIRED, OPTIONAL), "startDateTime"}
