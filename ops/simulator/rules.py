"""What the provider checks in the body of an edit, in its own order and statuses.

Source: the provider's page of `taskEdit`. Where the page is silent the simulator
lets an edit pass, as the worker does.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from ops.simulator.edit import LONG_MAX

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ops.simulator.account import Account

MODES = frozenset({"MANUAL", "AUTO"})
DAYS = frozenset({"MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"})
REDIAL_CONDITIONS = frozenset(
    {
        "CALL_LOSS",
        "NO_ANSWER",
        "BUSY",
        "REFUSED",
        "POWER_OFF",
        "OUT_OF_SERVICE",
        "CAN_NOT_CONNECT",
        "FROM_PHONE_ERROR",
        "SYSTEM_ERROR",
        "VACANT_NUMBER",
    }
)
LONGEST_REDIAL_INTERVAL = 1440
MOST_REDIALS = 3
LONGEST_LIST = 3
INT_MAX = 2**31 - 1

_TIME = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_id(value: object, most: int = INT_MAX) -> bool:
    return type(value) is int and 1 <= value <= most


def _is_time(value: object) -> bool:
    return isinstance(value, str) and _TIME.fullmatch(value) is not None


def _is_moment(value: object) -> bool:
    return _is_real(value, _MOMENT, datetime.fromisoformat)


def _is_date(value: object) -> bool:
    return _is_real(value, _DATE, date.fromisoformat)


def _is_real(value: object, form: re.Pattern[str], read: Callable[[str], object]) -> bool:
    if not isinstance(value, str) or form.fullmatch(value) is None:
        return False
    try:
        read(value)
    except ValueError:
        return False
    return True


_REQUIRED: tuple[tuple[str, Callable[[Any], bool]], ...] = (
    ("appId", _is_text),
    ("jobId", lambda value: _is_id(value, LONG_MAX)),
    ("name", _is_text),
    ("dialogFlowId", lambda value: value is not None),
    ("mode", lambda value: isinstance(value, str) and value in MODES),
    ("dailyStartDateTime", _is_time),
    ("dailyEndDateTime", _is_time),
    ("robotCount", _is_id),
    ("jobPhoneNumberId", _is_id),
    ("redial", lambda value: type(value) is bool),
)


def refusal(edit: object, account: Account, *, demand_redial: bool = False) -> str | None:
    """The status that this decoded body earns (`"-27"`, `"-28"` …), or None when it is fine.

    `demand_redial`: refuse `redial: true` without its three fields; the provider's
    page does not say whether it does.
    """
    if not isinstance(edit, dict):
        return "-27"
    for field, is_fine in _REQUIRED:
        if not is_fine(edit.get(field)):
            return "-27"
    return (
        _account_refusal(edit, account)
        or _time_refusal(edit, account)
        or _redial_refusal(edit, demand=demand_redial)
    )


def _account_refusal(edit: Mapping[str, Any], account: Account) -> str | None:
    if account.app_ids and edit["appId"] not in account.app_ids:
        return "-37"
    if not _is_id(edit["dialogFlowId"]):
        return "-41"
    if account.max_robots is not None and edit["robotCount"] > account.max_robots:
        return "-52"
    return None


def _time_refusal(edit: Mapping[str, Any], account: Account) -> str | None:
    start, end = edit.get("startDateTime"), edit.get("endDateTime")
    if edit["mode"] == "AUTO" and not start:
        return "-28"
    if any(moment is not None and not _is_moment(moment) for moment in (start, end)):
        return "-27"
    if edit["mode"] == "AUTO" and end is not None and not start < end:
        return "-27"
    if not _are_lists_fine(edit) or not edit["dailyStartDateTime"] < edit["dailyEndDateTime"]:
        return "-27"
    earliest, latest = account.daily_window
    if edit["dailyStartDateTime"] < earliest or edit["dailyEndDateTime"] > latest:
        return "-48"
    return None


def _are_lists_fine(edit: Mapping[str, Any]) -> bool:
    days = edit.get("daysOfWeek")
    return (
        (days is None or (isinstance(days, list) and all(_is_one_of(day, DAYS) for day in days)))
        and _are_spans(edit.get("inactiveTimeList"), "startTime", "endTime", _is_time)
        and _are_spans(edit.get("inactiveDateList"), "startDate", "endDate", _is_date)
    )


def _is_one_of(value: object, names: frozenset[str]) -> bool:
    return isinstance(value, str) and value in names


def _are_spans(spans: object, start: str, end: str, is_fine: Callable[[object], bool]) -> bool:
    if spans is None:
        return True
    return (
        isinstance(spans, list)
        and len(spans) <= LONGEST_LIST
        and all(
            isinstance(span, dict)
            and is_fine(span.get(start))
            and is_fine(span.get(end))
            and span[start] <= span[end]
            for span in spans
        )
    )


def _redial_refusal(edit: Mapping[str, Any], *, demand: bool) -> str | None:
    demanded = demand and edit["redial"]
    condition = edit.get("redialCondition")
    if condition is None:
        if demanded:
            return "-29"
    elif not isinstance(condition, list) or not all(
        _is_one_of(name, REDIAL_CONDITIONS) for name in condition
    ):
        return "-29"
    interval, times = edit.get("redialInterval"), edit.get("redialTimes")
    if not _is_count(interval, 0, LONGEST_REDIAL_INTERVAL, may_lack=not demanded):
        return "-30"
    if not _is_count(times, 1, MOST_REDIALS, may_lack=not demanded):
        return "-31"
    return None


def _is_count(value: object, least: int, most: int, *, may_lack: bool) -> bool:
    if value is None:
        return may_lack
    return type(value) is int and least <= value <= most
