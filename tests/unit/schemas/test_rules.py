"""The rules between the fields of an edit, and those of an account."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from schemas import Bounds, FieldProblem, Invalid, validate
from tests.unit.schemas.builders import ABSENT, edit

UTC = ZoneInfo("UTC")
NEW_YORK = ZoneInfo("America/New_York")


def problems(document: dict[str, object], bounds: Bounds | None = None) -> list[str]:
    found = validate(document, bounds)
    return [f"{p.field} {p.problem}" for p in found.problems] if isinstance(found, Invalid) else []


@pytest.mark.parametrize(
    ("mode", "start", "fields"),
    [
        ("AUTO", "2022-01-01 00:00:00", []),
        ("AUTO", ABSENT, ["startDateTime"]),
        ("AUTO", None, ["startDateTime"]),
        ("AUTO", "soon", ["startDateTime"]),
        ("MANUAL", ABSENT, []),
        ("MANUAL", None, []),
        ("auto", ABSENT, ["mode"]),
    ],
)
def test_a_job_that_starts_by_itself_says_when(mode: str, start: object, fields: list[str]) -> None:
    found = problems(edit(mode=mode, startDateTime=start))

    assert [line.split()[0] for line in found] == fields


@pytest.mark.parametrize(
    ("start", "end", "good"),
    [
        ("2022-01-01 00:00:00", "2022-01-01 00:00:01", True),
        ("2022-01-01 00:00:00", "2022-01-01 00:00:00", False),
        ("2022-01-02 00:00:00", "2022-01-01 23:59:59", False),
        ("2022-01-01 08:00:00", "2022-01-01T00:00:01Z", True),
        ("2022-01-01 08:00:00", "2022-01-01T00:00:00Z", False),
        ("2022-01-01T00:00:00Z", "2022-01-01T07:59:59+08:00", False),
        ("2022-01-01T00:00:00.1Z", "2022-01-01T00:00:00.9Z", False),
        (ABSENT, "2022-01-01 00:00:00", True),
        ("2022-01-01 00:00:00", ABSENT, True),
    ],
)
def test_the_job_starts_before_it_ends(start: object, end: object, good: bool) -> None:
    found = problems(edit(mode="MANUAL", startDateTime=start, endDateTime=end))

    assert found == ([] if good else ["endDateTime must be later than startDateTime"])


def test_start_and_end_are_compared_in_the_accounts_zone() -> None:
    document = edit(startDateTime="2022-01-01 00:30:00", endDateTime="2022-01-01T00:00:00Z")

    assert problems(document, Bounds(zone=ZoneInfo("Asia/Shanghai"))) == []
    assert problems(document, Bounds(zone=UTC)) == ["endDateTime must be later than startDateTime"]


@pytest.mark.parametrize(
    ("end", "zone", "good"),
    [
        ("9999-12-31T23:00:00Z", UTC, True),
        ("9999-12-31T23:00:00Z", ZoneInfo("Asia/Shanghai"), False),
        ("9999-12-31T23:00:00Z", NEW_YORK, True),
        ("0001-01-01T00:00:00+14:00", UTC, False),
        ("0001-01-01T00:00:00Z", NEW_YORK, False),
    ],
)
def test_a_date_time_stays_a_date_time_in_the_accounts_zone(
    end: str, zone: ZoneInfo, good: bool
) -> None:
    document = edit(mode="MANUAL", startDateTime=ABSENT, endDateTime=end)

    expected = "endDateTime must lie in the years 0001 to 9999 in the account's time zone"
    assert problems(document, Bounds(zone=zone)) == ([] if good else [expected])


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [
        ("09:00", "20:00", []),
        ("19:59", "20:00", []),
        (
            "08:59",
            "20:00",
            [
                (
                    "dailyStartDateTime must not be before 09:00 (the provider's status -48: "
                    "daily window outside 9:00 to 20:00)"
                )
            ],
        ),
        (
            "09:00",
            "20:01",
            [
                (
                    "dailyEndDateTime must not be after 20:00 (the provider's status -48: "
                    "daily window outside 9:00 to 20:00)"
                )
            ],
        ),
        ("12:00", "12:00", ["dailyEndDateTime must be later than dailyStartDateTime"]),
        ("13:00", "12:00", ["dailyEndDateTime must be later than dailyStartDateTime"]),
        (
            "23:00",
            "08:00",
            ["dailyEndDateTime must be later than dailyStartDateTime"],
        ),
    ],
)
def test_the_daily_window_is_in_order_and_in_bounds(start: str, end: str, found: list[str]) -> None:
    assert problems(edit(dailyStartDateTime=start, dailyEndDateTime=end)) == found


def test_an_account_may_have_another_daily_window() -> None:
    wide, narrow = Bounds(earliest="00:00", latest="23:59"), Bounds(earliest="10:00")
    night = edit(dailyStartDateTime="00:00", dailyEndDateTime="23:59")

    assert problems(night, wide) == []
    assert problems(edit(), narrow) == [
        (
            "dailyStartDateTime must not be before 10:00 (the provider's status -48: daily "
            "window outside 9:00 to 20:00)"
        )
    ]


@pytest.mark.parametrize(
    ("spans", "paths"),
    [
        ([("12:00", "13:00"), ("12:30", "12:31")], []),
        ([("12:00", "12:00")], ["inactiveTimeList[0].endTime"]),
        ([("09:00", "10:00"), ("13:00", "12:00")], ["inactiveTimeList[1].endTime"]),
        ([("00:00", "23:59")], []),
    ],
)
def test_inactive_times_start_before_they_end(
    spans: list[tuple[str, str]], paths: list[str]
) -> None:
    times = [{"startTime": start, "endTime": end} for start, end in spans]

    assert problems(edit(inactiveTimeList=times)) == [
        f"{path} must be later than startTime" for path in paths
    ]


@pytest.mark.parametrize(
    ("spans", "paths"),
    [
        ([("2022-02-05", "2022-02-07"), ("2022-02-05", "2022-02-05")], []),
        ([("2022-02-05", "2022-02-04")], ["inactiveDateList[0].endDate"]),
        (
            [("2022-02-05", "2022-02-06"), ("2023-01-01", "2022-12-31")],
            ["inactiveDateList[1].endDate"],
        ),
    ],
)
def test_inactive_dates_do_not_end_before_they_start(
    spans: list[tuple[str, str]], paths: list[str]
) -> None:
    dates = [{"startDate": start, "endDate": end} for start, end in spans]

    assert problems(edit(inactiveDateList=dates)) == [
        f"{path} must not be before startDate" for path in paths
    ]


REQUIRED = "appId is required (only an account with one appId implies it)"
NOT_ITS_OWN = (
    "appId must be an appId of the account that this queue is for (the "
    "provider's status -37: application does not exist)"
)


@pytest.mark.parametrize(
    ("app_ids", "app_id", "found"),
    [
        ([], "A", []),
        ([], ABSENT, [REQUIRED]),
        ([], None, [REQUIRED]),
        (["A"], "A", []),
        (["A"], ABSENT, []),
        (["A"], None, []),
        (["A"], "a", [NOT_ITS_OWN]),
        (["A", "B"], "B", []),
        (["A", "B"], "C", [NOT_ITS_OWN]),
        (["A", "B"], ABSENT, [REQUIRED]),
    ],
)
def test_the_app_id_is_one_of_the_accounts_own(
    app_ids: list[str], app_id: object, found: list[str]
) -> None:
    assert problems(edit(appId=app_id), Bounds(app_ids=frozenset(app_ids))) == found


def test_everything_wrong_is_told_at_once() -> None:
    document = edit(
        appId=ABSENT,
        jobId="123",
        name=None,
        mode="AUTO",
        startDateTime=ABSENT,
        endDateTime="never",
        dailyStartDateTime="08:00",
        dailyEndDateTime="07:00",
        inactiveTimeList=[
            {"startTime": "13:00", "endTime": "12:00"},
            {"startTime": "13:00", "endTime": "9:00"},
            {"startTime": "13:00", "endtime": "14:00"},
            5,
        ],
        redialTimes=4,
        redialtimes=4,
    )

    found = validate(document)

    assert isinstance(found, Invalid)
    assert {problem.field for problem in found.problems} == {
        "appId",
        "jobId",
        "name",
        "startDateTime",
        "endDateTime",
        "dailyStartDateTime",
        "dailyEndDateTime",
        "inactiveTimeList",
        "inactiveTimeList[0].endTime",
        "inactiveTimeList[1].endTime",
        "inactiveTimeList[2].endTime",
        "inactiveTimeList[2].endtime",
        "inactiveTimeList[3]",
        "redialTimes",
        "redialtimes",
    }


def test_rules_look_only_at_fields_that_are_good_by_themselves() -> None:
    document = edit(startDateTime="2023-02-30 00:00:00", dailyStartDateTime="8:00")

    assert [line.split()[0] for line in problems(document)] == [
        "startDateTime",
        "dailyStartDateTime",
    ]


def test_a_problem_is_a_field_and_a_text() -> None:
    found = validate(edit(redialTimes=4))

    assert found == Invalid(
        (
            FieldProblem(
                "redialTimes",
                "must be a whole number from 1 to 3 (the provider's status -31: redial times)",
            ),
        )
    )
