"""Edits made up to be refused, or just not: every field with every kind of value, and mixtures."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any, Final

from hypothesis import strategies as st

from schemas import TaskEdit
from tests.unit.schemas.builders import ABSENT

if TYPE_CHECKING:
    from collections.abc import Iterator

    Path = tuple[str | int, ...]

GOOD: Final[dict[str, Any]] = {
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

BOUNDS: Final = (0, 1, 3, 1440, -(2**31), 2**31 - 1, -(2**63), 2**63 - 1, 2**64, 10**30)
NUMBERS: Final = sorted({bound + step for bound in BOUNDS for step in (-1, 0, 1)})
ODD_NUMBERS: Final = (0.0, -0.0, 1.0, 1.5, 3.0, 1e3, 1440.0, 1e300, float(2**31))
CLOCK_TIMES: Final = (
    *("00:00", "09:00", "12:30", "19:59", "20:00", "23:59", "24:00", "09:60", "9:00", "09:0"),
    *("0900", "09:00:00", "09:00 ", " 09:00", "09:00\n", "٠٩:00", "-1:00", "09.00"),
)
DATES: Final = (
    *("2026-12-05", "2024-02-29", "2023-02-29", "2000-02-29", "1900-02-29", "2100-02-29"),
    *("0004-02-29", "0000-02-29", "0000-01-01", "0001-01-01", "9999-12-31", "0100-02-29"),
    *("2026-04-30", "2026-04-31", "2026-01-31", "2026-01-32", "2026-02-30", "2026-00-01"),
    *("2026-13-01", "2026-12-00", "2026-1-01", "26-01-01", "12026-01-01", "2026/01/01"),
    *("2026-12-05\n", " 2026-12-05", "20261205", "2026-W01-1", "1000-01-01", "0990-10-10"),
)
OFFSETS: Final = (
    *("", "Z", "z", "+08", "+0800", "+08:00", "-03:30", "+14:00", "+23:59", "+24:00", "+8:00"),
    *("08:00", "-00:00", "+08:60", "+08:0", " +08:00", "+-8:00"),
)
FRACTIONS: Final = ("", ".5", ",5", ".123456789", ".1234567890", ".", ":00", ".5.5")
SECONDS: Final = (":00", ":59", ":60", "", ":5", ":")
BETWEEN: Final = ("T", " ", "t", "", "  ", "_")


def _moments() -> Iterator[str]:
    """Date-times: every date in both forms, and every way of writing one of them."""
    for date in DATES:
        yield f"{date} 09:30:00"
        yield f"{date}T09:30:00Z"
    for time in CLOCK_TIMES:
        yield f"2026-12-05 {time}:00"
        yield f"2026-12-05T{time}Z"
    for between, seconds, fraction, offset in product(BETWEEN, SECONDS, FRACTIONS[:2], OFFSETS):
        yield f"2026-12-05{between}09:30{seconds}{fraction}{offset}"
    for fraction, offset in product(FRACTIONS, ("", "Z", "+08:00")):
        yield f"2026-12-05T09:30:00{fraction}{offset}"


MOMENTS: Final = tuple(dict.fromkeys(_moments()))
BLANKS: Final = tuple("\t\n\x0b\x0c\r\x1c\x1f \x85\xa0\u1680\u2007\u2028\u3000\ufeff\u200b\x00")
WORDS: Final = (
    *("", "MANUAL", "AUTO", "auto", "AUTO ", "MONDAY", "SUNDAY", "monday", "CALL_LOSS", "BUSY"),
    *("VACANT_NUMBER", "VACANT", "true", "null", "123", "1.0", "秋", "😀", " \t ", "a\n", *BLANKS),
)
SPANS: Final[tuple[dict[str, str | None], ...]] = (
    {"startTime": "12:00", "endTime": "13:00"},
    {"startDate": "2026-12-05", "endDate": "2026-12-06"},
    {"startTime": "12:00", "endTime": "13:00", "name": None},
    {"startTime": "12:00", "endTime": None},
    {"startDate": "2026-12-05"},
    {},
)
SCALARS: Final = (*(None, True, False, *NUMBERS, *ODD_NUMBERS, *WORDS, *CLOCK_TIMES, *DATES),)
LISTS: Final = (
    *([], [[]], [None], [1], ["MONDAY"] * 8, ["BUSY"] * 11, ["SUNDAY", "BUSY"], ["Monday"]),
    *([span] * count for span in SPANS for count in (1, 3, 4)),
)
VALUES: Final = (ABSENT, *SCALARS, *LISTS, *SPANS, {"": {"": []}})

FIELDS: Final = tuple((name,) for name in TaskEdit.model_fields)
PLACES: Final[tuple[Path, ...]] = (
    *FIELDS,
    *(("inactiveTimeList", 0, name) for name in ("startTime", "endTime", "Endtime", "")),
    *(("inactiveDateList", 0, name) for name in ("startDate", "endDate", "jobId")),
    *((name, 0) for name in GOOD if name.endswith("List") or isinstance(GOOD[name], list)),
    *(("redialTime",), ("",), ("job_id",), ("startTime",)),
)


def damaged(*changes: tuple[Path, Any]) -> dict[str, Any]:
    """A good edit with other values at some places, as far as there are such places."""
    document: Any = GOOD
    for place, value in changes:
        document = _changed(document, place, value)
    found: dict[str, Any] = document
    return found


def _changed(document: Any, place: Path, value: Any) -> Any:  # noqa: ANN401 - any JSON
    step, rest = place[0], place[1:]
    if isinstance(document, list) and isinstance(step, int) and document:
        first = _changed(document[0], rest, value) if rest else value
        return [item for item in (first, *document[1:]) if item is not ABSENT]
    if not isinstance(document, dict) or not isinstance(step, str):
        return document
    if rest:
        return document | {step: _changed(document.get(step), rest, value)}
    return {name: v for name, v in (document | {step: value}).items() if v is not ABSENT}


def every_single_damage() -> Iterator[dict[str, Any]]:
    """Every value in every place, in a job of either mode."""
    for mode, place in product(("MANUAL", "AUTO"), PLACES):
        for value in (*VALUES, *MOMENTS) if str(place[-1]).endswith("DateTime") else VALUES:
            yield damaged((("mode",), mode), (place, value))


places = st.sampled_from(PLACES)
scalars = (
    st.sampled_from((*SCALARS, *MOMENTS))
    | st.text(max_size=4)
    | st.integers()
    | st.dates().map(str)
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
likely = st.sampled_from(
    (
        *((("jobId",), value) for value in (1, 2**31, 2**63 - 1)),
        *((("startDateTime",), f"{date} 00:00:00") for date in DATES[:5:3]),
        *(
            (("endDateTime",), value)
            for value in ("2027-01-01T00:00Z", "2026-11-30 00:00:00", None, ABSENT)
        ),
        *(((name,), value) for name in ("daysOfWeek", "redialTimes") for value in (None, ABSENT)),
        *((("inactiveTimeList",), [SPANS[0]] * count) for count in range(4)),
        (("mode",), "AUTO"),
    )
)
odd = st.tuples(places, st.sampled_from(VALUES) | anything)

edits = st.builds(
    lambda most, last: damaged(*most, *last),
    st.lists(likely, max_size=4),
    st.lists(odd, max_size=1) | st.lists(odd, max_size=3),
)
"""Mixtures: some changes that the schema takes, and often one or more that are not."""
