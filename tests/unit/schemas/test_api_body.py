"""What the provider gets."""

from __future__ import annotations

import json
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from schemas import Bounds, TaskEdit, api_body, validate
from tests.unit.schemas.builders import ABSENT, edit

SHANGHAI = Bounds()


def sent(document: dict[str, Any], bounds: Bounds = SHANGHAI) -> dict[str, Any]:
    checked = validate(document, bounds)
    assert isinstance(checked, TaskEdit)
    found: dict[str, Any] = json.loads(api_body(checked, bounds))
    return found


def test_a_plain_edit_is_sent_as_it_is() -> None:
    full = edit(
        inactiveTimeList=[{"startTime": "12:00", "endTime": "13:00"}],
        inactiveDateList=[],
        daysOfWeek=["SUNDAY", "MONDAY", "SUNDAY"],
        redialCondition=["BUSY"],
        redialInterval=-5,
        redialTimes=3,
        name=' 秋季 "提醒" ',
        jobId=2**63 - 1,
    )

    assert sent(full) == full


def test_null_is_left_out() -> None:
    assert sent(edit(endDateTime=None, daysOfWeek=None)) == edit(endDateTime=ABSENT)


def test_the_body_is_compact_utf_8() -> None:
    checked = validate(edit(name="秋😀"))
    assert isinstance(checked, TaskEdit)

    body = api_body(checked, SHANGHAI)

    assert '"name":"秋😀"'.encode() in body
    assert b", " not in body
    assert b": " not in body


@pytest.mark.parametrize(
    ("given", "zone", "taken"),
    [
        ("2026-11-22 08:00:00", "Asia/Shanghai", "2026-11-22 08:00:00"),
        ("2026-11-22 08:00:00", "UTC", "2026-11-22 08:00:00"),
        ("2026-11-22T08:00:00Z", "Asia/Shanghai", "2026-11-22 16:00:00"),
        ("2026-11-22T20:00Z", "Asia/Shanghai", "2026-11-23 04:00:00"),
        ("2026-11-22T08:00:00.999999999Z", "Asia/Shanghai", "2026-11-22 16:00:00"),
        ("2026-11-22 08:00:00,5+08:00", "Asia/Shanghai", "2026-11-22 08:00:00"),
        ("2026-11-22T08:00+0800", "UTC", "2026-11-22 00:00:00"),
        ("2026-11-22 08:00+08", "UTC", "2026-11-22 00:00:00"),
        ("2026-11-22T08:00:00-03:30", "UTC", "2026-11-22 11:30:00"),
        ("2026-07-01T12:00:00Z", "America/New_York", "2026-07-01 08:00:00"),
        ("2026-12-01T12:00:00Z", "America/New_York", "2026-12-01 07:00:00"),
        ("0002-01-01T00:00:00+00:00", "UTC", "0002-01-01 00:00:00"),
    ],
)
def test_date_times_are_in_the_providers_form_and_the_accounts_zone(
    given: str, zone: str, taken: str
) -> None:
    body = sent(
        edit(startDateTime=given, endDateTime="9999-12-30T00:00Z"), Bounds(zone=ZoneInfo(zone))
    )

    assert body["startDateTime"] == taken
    assert body["endDateTime"].startswith("9999-12-")


@pytest.mark.parametrize("app_id", [None, ABSENT])
def test_the_only_app_id_goes_without_saying(app_id: object) -> None:
    body = sent(edit(appId=app_id), Bounds(app_ids=frozenset({"LILIN888"})))

    assert body["appId"] == "LILIN888"


def test_bounds_that_do_not_fit_are_a_bug_not_a_body() -> None:
    sole = Bounds(app_ids=frozenset({"A"}), zone=ZoneInfo("UTC"))
    without = validate(edit(appId=ABSENT), sole)
    late = validate(edit(appId="A", endDateTime="9999-12-31T23:00Z"), sole)
    assert isinstance(without, TaskEdit)
    assert isinstance(late, TaskEdit)

    with pytest.raises(ValueError, match="exactly one"):
        api_body(without, SHANGHAI)
    with pytest.raises(ValueError, match="endDateTime"):
        api_body(late, SHANGHAI)
