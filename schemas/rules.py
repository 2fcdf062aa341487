"""The rules between the fields of an edit, and those of its account.

Each takes an edit's fields by name, as JSON gives them, and yields what is wrong. A field that
was refused already stands there as `BAD`, which no rule looks into; an absent one is None.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from schemas.bounds import Bounds
from schemas.problem import FieldProblem, status

BAD: Final = ...
"""Stands for a value that was refused by itself."""


def broken(fields: Mapping[str, Any], bounds: Bounds) -> Iterator[FieldProblem]:
    """Yield every rule between fields, or of the account, that the edit breaks."""
    yield from app_of_account(fields, bounds)
    yield from automatic_start(fields)
    yield from moments(fields, bounds)
    yield from daily_window(fields, bounds)
    yield from inactive_times(fields)
    yield from inactive_dates(fields)


def app_of_account(fields: Mapping[str, Any], bounds: Bounds) -> Iterator[FieldProblem]:
    """The appId is one of the account's own; it may be left out if the account has just one."""
    app_id = fields.get("appId")
    if app_id is None:
        if len(bounds.app_ids) != 1:
            yield FieldProblem("appId", "is required (only an account with one appId implies it)")
    elif app_id is not BAD and bounds.app_ids and app_id not in bounds.app_ids:
        yield FieldProblem(
            "appId", f"must be an appId of the account that this queue is for ({status('-37')})"
        )


def automatic_start(fields: Mapping[str, Any]) -> Iterator[FieldProblem]:
    """A job that starts by itself says when."""
    if fields.get("mode") == "AUTO" and fields.get("startDateTime") is None:
        yield FieldProblem("startDateTime", f"is required when mode is AUTO ({status('-28')})")


def moments(fields: Mapping[str, Any], bounds: Bounds) -> Iterator[FieldProblem]:
    """The job starts before it ends, as the provider will read the two.

    With an offset, each still has a year of four digits in the account's zone.
    """
    read: list[str] = []
    for name in ("startDateTime", "endDateTime"):
        moment = fields.get(name)
        if isinstance(moment, str):
            local = bounds.local(moment)
            if local is None:
                yield FieldProblem(
                    name, "must lie in the years 0001 to 9999 in the account's time zone"
                )
            else:
                read.append(local)
    if len(read) == 2 and read[0] >= read[1]:  # noqa: PLR2004 (start and end)
        yield FieldProblem("endDateTime", "must be later than startDateTime")


def daily_window(fields: Mapping[str, Any], bounds: Bounds) -> Iterator[FieldProblem]:
    """Calls are made in one span of each day, inside of what the account is allowed."""
    start, end = fields.get("dailyStartDateTime"), fields.get("dailyEndDateTime")
    if isinstance(start, str) and start < bounds.earliest:
        yield FieldProblem(
            "dailyStartDateTime",
            f"must not be before {bounds.earliest} ({status('-48')})",
        )
    if isinstance(end, str) and end > bounds.latest:
        yield FieldProblem(
            "dailyEndDateTime", f"must not be after {bounds.latest} ({status('-48')})"
        )
    if isinstance(start, str) and isinstance(end, str) and start >= end:
        yield FieldProblem("dailyEndDateTime", "must be later than dailyStartDateTime")


def inactive_times(fields: Mapping[str, Any]) -> Iterator[FieldProblem]:
    """A span without calls starts before it ends, on one day."""
    for index, start, end in _spans(fields.get("inactiveTimeList"), "startTime", "endTime"):
        if start >= end:
            yield FieldProblem(f"inactiveTimeList[{index}].endTime", "must be later than startTime")


def inactive_dates(fields: Mapping[str, Any]) -> Iterator[FieldProblem]:
    """A span of days without calls does not end before it starts; it may be one day."""
    for index, start, end in _spans(fields.get("inactiveDateList"), "startDate", "endDate"):
        if start > end:
            yield FieldProblem(f"inactiveDateList[{index}].endDate", "must not be before startDate")


def _spans(items: object, start: str, end: str) -> Iterator[tuple[int, str, str]]:
    if isinstance(items, list):
        for index, item in enumerate(items):
            if isinstance(item, dict):
                yield index, item[start], item[end]
