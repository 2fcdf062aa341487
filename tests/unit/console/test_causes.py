"""Letters are of one cause when nothing sets them apart but what differs from edit to edit."""

from __future__ import annotations

import pytest

from schemas import Bounds, Invalid, validate
from tests.unit.schemas.builders import edit
from worker.console.causes import cause_of, fields_in


def detail(**changes: object) -> str:
    """What the worker says of an edit with these changes."""
    found = validate(edit(**changes), Bounds())
    assert isinstance(found, Invalid)
    return found.detail


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"redialTimes": 7, "redial": True}, ("redialTimes",)),
        ({"dailyEndDateTime": "25:00", "robotCount": 0}, ("dailyEndDateTime", "robotCount")),
        ({"inactiveTimeList": [{"startTime": 1}]}, ("inactiveTimeList.endTime",)),
    ],
)
def test_the_fields_of_an_invalid_edit_are_told_by_its_detail(
    changes: dict[str, object], fields: tuple[str, ...]
) -> None:
    assert set(fields) <= set(fields_in(detail(**changes)))


def test_a_field_with_other_wrong_values_is_the_same_cause() -> None:
    first = cause_of("invalid", "", detail(dailyEndDateTime="25:00"))
    other = cause_of("invalid", "", detail(dailyEndDateTime="half past nine"))
    assert first.id == other.id


@pytest.mark.parametrize(
    "other",
    [
        cause_of("api_rejected", "-33", "The API refused job 12."),
        cause_of("api_rejected", "-41", "the API answered for job 7"),
        cause_of("exhausted", "-41", "The API refused job 12."),
        cause_of("api_rejected", "-41", "The API would not have job 12."),
    ],
)
def test_another_reason_status_or_detail_is_another_cause(other: object) -> None:
    first = cause_of("api_rejected", "-41", "The API refused job 7.")
    assert first != other
    assert first.id == cause_of("api_rejected", "-41", "The API refused job 12345.").id
