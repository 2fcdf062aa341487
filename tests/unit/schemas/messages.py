"""Edits made up by hypothesis: good ones, and good ones damaged in every way that JSON allows."""

from __future__ import annotations

import operator
from typing import Any

from hypothesis import strategies as st

from schemas import TaskEdit
from tests.unit.schemas.builders import ABSENT

INT_MAX, LONG_MAX = 2**31 - 1, 2**63 - 1

years = st.sampled_from([0, 1, 4, 100, 400, 1900, 2000, 2023, 2024, 2026, 9999])
calendar_dates = st.dates().map(str) | st.builds(
    "{:04}-{:02}-{:02}".format, years, st.integers(0, 13), st.integers(0, 32)
)
clock_times = st.times().map(lambda time: time.isoformat("minutes")) | st.builds(
    "{:02}:{:02}".format, st.integers(0, 25), st.integers(0, 61)
)
offsets = st.sampled_from(
    [
        "",
        "Z",
        "z",
        "+08",
        "+0800",
        "+08:00",
        "-03:30",
        "+14:00",
        "+23:59",
        "+24:00",
        "+8:00",
        "08:00",
    ]
)
fractions = st.sampled_from(["", ".5", ",5", ".123456789", ".1234567890", ".", ":00"])
date_times = st.builds(
    "{}{}{}{}{}{}".format,
    calendar_dates,
    st.sampled_from(["T", " ", "t", "", "  ", "_"]),
    clock_times,
    st.sampled_from([":00", ":59", ":60", "", ":5", "."]),
    fractions,
    offsets,
) | st.datetimes().map(lambda moment: moment.isoformat(" ", "seconds"))
blanks = st.text("\t\n\x0b\x0c\r\x1c\x1f \x85\xa0\u1680\u2007\u2028\u3000\ufeff\u200b", max_size=3)
texts = st.text(max_size=5) | blanks
days = st.sampled_from(
    ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY", "monday", ""]
)
conditions = st.sampled_from(
    ["CALL_LOSS", "BUSY", "FROM_PHONE_ERROR", "SYSTEM_ERROR", "VACANT_NUMBER", "VACANT", "busy"]
)
small = st.sampled_from([-1, 0, 1, 2, 3, 4, 1439, 1440, 1441])
large = st.sampled_from([INT_MAX, INT_MAX + 1, LONG_MAX, LONG_MAX + 1, 2**64, 10**30])
numbers = small | large | large.map(operator.neg) | st.sampled_from([-(2**31), -(2**31) - 1])
odd_numbers = st.sampled_from([0.0, -0.0, 1.0, 1.5, 3.0, 1e3, 1e300, float(2**31)])
scalars = st.none() | st.booleans() | numbers | odd_numbers | texts
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)


def spans(start: str, end: str, values: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    span = st.fixed_dictionaries({start: values, end: values})
    return st.lists(span, max_size=4)


of_each_field: dict[str, st.SearchStrategy[Any]] = {
    "appId": texts,
    "jobId": numbers,
    "name": texts,
    "dialogFlowId": numbers,
    "mode": st.sampled_from(["MANUAL", "AUTO", "auto", "AUTO ", ""]),
    "startDateTime": date_times,
    "endDateTime": date_times,
    "dailyStartDateTime": clock_times,
    "dailyEndDateTime": clock_times,
    "robotCount": numbers,
    "jobPhoneNumberId": numbers,
    "inactiveTimeList": spans("startTime", "endTime", clock_times),
    "inactiveDateList": spans("startDate", "endDate", calendar_dates),
    "daysOfWeek": st.lists(days, max_size=8),
    "redial": st.booleans(),
    "redialCondition": st.lists(conditions, max_size=4),
    "redialInterval": numbers,
    "redialTimes": numbers,
}
"""Values of the right type, on both sides of what is allowed."""

good: dict[str, Any] = {
    "appId": "LILIN888",
    "jobId": 123,
    "name": "Autumn reminder",
    "dialogFlowId": 8663,
    "mode": "MANUAL",
    "startDateTime": "2026-12-01 09:30:00",
    "endDateTime": "2026-12-24 18:00:00",
    "dailyStartDateTime": "09:00",
    "dailyEndDateTime": "20:00",
    "robotCount": 1,
    "jobPhoneNumberId": 2959,
    "inactiveTimeList": [{"startTime": "12:00", "endTime": "13:00"}],
    "inactiveDateList": [{"startDate": "2026-12-05", "endDate": "2026-12-06"}],
    "daysOfWeek": ["MONDAY"],
    "redial": True,
    "redialCondition": ["BUSY"],
    "redialInterval": 30,
    "redialTimes": 2,
}
fields = st.sampled_from(sorted(TaskEdit.model_fields))
paths = st.sampled_from(
    [(field,) for field in sorted(TaskEdit.model_fields)] * 2
    + [("inactiveTimeList", 0, "startTime"), ("inactiveTimeList", 0, "endTime")]
    + [("inactiveDateList", 0, "startDate"), ("inactiveDateList", 0, "endDate")]
    + [("inactiveTimeList", 0), ("inactiveDateList", 0), ("daysOfWeek", 0), ("redialCondition", 0)]
    + [("inactiveTimeList", 0, "Endtime"), ("redialTime",), ("",), ("job_id",)]
)
changes = (
    fields.flatmap(lambda name: st.tuples(st.just((name,)), of_each_field[name]))
    | st.tuples(paths, anything)
    | st.tuples(paths, st.sampled_from([ABSENT, None]))
)


def _changed(document: Any, path: tuple[str | int, ...], value: Any) -> Any:  # noqa: ANN401
    """The same JSON with another value at the path, as far as there is such a place."""
    step, rest = path[0], path[1:]
    if isinstance(document, list) and isinstance(step, int) and document:
        first = _changed(document[0], rest, value) if rest else value
        return [item for item in (first, *document[1:]) if item is not ABSENT]
    if not isinstance(document, dict) or not isinstance(step, str):
        return document
    if rest:
        return document | {step: _changed(document.get(step), rest, value)}
    return {k: v for k, v in (document | {step: value}).items() if v is not ABSENT}


def _damaged(wrongs: list[tuple[tuple[str | int, ...], Any]]) -> dict[str, Any]:
    document: Any = good
    for path, value in wrongs:
        document = _changed(document, path, value)
    found: dict[str, Any] = document
    return found


edits: st.SearchStrategy[dict[str, Any]] = st.lists(changes, max_size=4).map(_damaged)
