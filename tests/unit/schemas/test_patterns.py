"""The forms of text, in the three dialects that judge them."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import datetime
from typing import Annotated

import jsonschema_rs
import pytest
from pydantic import Field, TypeAdapter, ValidationError

from schemas.patterns import CALENDAR_DATE, CLOCK_TIME, DATE_TIME, NOT_BLANK

DATES = re.compile(CALENDAR_DATE)


def judges(pattern: str, text: str) -> set[bool]:
    """What Python, Rust (as the worker uses it) and ECMA-262 (as publishers do) say."""
    rust = TypeAdapter(Annotated[str, Field(pattern=pattern)])
    try:
        rust.validate_python(text)
        by_rust = True
    except ValidationError:
        by_rust = False
    by_ecma = jsonschema_rs.is_valid({"pattern": pattern}, text)
    return {re.search(pattern, text) is not None, by_rust, by_ecma}


def test_every_29th_of_february_is_real_or_refused() -> None:
    real = {year for year in range(1, 10_000) if monthrange(year, 2)[1] == 29}

    assert {y for y in range(10_000) if DATES.search(f"{y:04}-02-29")} == real


@pytest.mark.parametrize("year", [1, 4, 100, 400, 999, 1000, 1900, 2000, 2023, 2024, 2100, 9999])
def test_every_day_of_a_year_is_real_or_refused(year: int) -> None:
    real = {
        (month, day) for month in range(1, 13) for day in range(1, monthrange(year, month)[1] + 1)
    }

    assert {
        (month, day)
        for month in range(14)
        for day in range(34)
        if DATES.search(f"{year:04}-{month:02}-{day:02}")
    } == real


def test_every_year_but_zero_has_a_first_day() -> None:
    assert [y for y in range(10_000) if not DATES.search(f"{y:04}-01-01")] == [0]


@pytest.mark.parametrize(
    ("pattern", "text", "good"),
    [
        (CALENDAR_DATE, "2024-02-29", True),
        (CALENDAR_DATE, "2023-02-29", False),
        (CALENDAR_DATE, "2024-02-29 ", False),
        (CALENDAR_DATE, "12024-02-29", False),
        (CALENDAR_DATE, "\uff12\uff10\uff12\uff14-02-29", False),
        (CLOCK_TIME, "23:59", True),
        (CLOCK_TIME, "24:00", False),
        (CLOCK_TIME, "1:00", False),
        (CLOCK_TIME, "٠٩:00", False),
        (DATE_TIME, "2024-02-29 23:59:59", True),
        (DATE_TIME, "2024-02-29T23:59Z", True),
        (DATE_TIME, "2024-02-29T23:59", False),
        (DATE_TIME, "2024-02-29 23:59", False),
        (DATE_TIME, "2024-02-29T23:59:59.1234567890Z", False),
        (NOT_BLANK, "a", True),
        (NOT_BLANK, " \u3000秋\t", True),
        (NOT_BLANK, "😀", True),
        (NOT_BLANK, "", False),
        (NOT_BLANK, " \t\r\n\u00a0\u2003\u2028\u3000", False),
    ],
)  # fmt: skip
def test_the_dialects_agree(pattern: str, text: str, good: bool) -> None:
    assert judges(pattern, text) == {good}


def test_blank_is_what_python_calls_space() -> None:
    spaces = [chr(code) for code in range(0x11000) if chr(code).isspace()]

    assert [space for space in spaces if re.search(NOT_BLANK, space)] == []
    assert re.findall(NOT_BLANK, "".join(map(chr, range(0x11000))))[:2] == ["\0", "\x01"]
    assert len(re.findall(NOT_BLANK, "".join(map(chr, range(0x11000))))) == 0x11000 - len(spaces)


@pytest.mark.parametrize("offset", ["Z", "+08", "+0800", "+08:00", "-03:30", "+23:59", "-00:00"])
@pytest.mark.parametrize("seconds", ["", ":01", ":01.5", ":01,123456789"])
@pytest.mark.parametrize("between", ["T", " "])
def test_what_passes_can_be_converted(offset: str, seconds: str, between: str) -> None:
    text = f"2024-02-29{between}12:34{seconds}{offset}"

    assert re.search(DATE_TIME, text)
    assert datetime.fromisoformat(text).utcoffset() is not None


@pytest.mark.parametrize("pattern", [CALENDAR_DATE, CLOCK_TIME, DATE_TIME, NOT_BLANK])
def test_patterns_keep_to_what_all_dialects_have(pattern: str) -> None:
    assert not re.search(r"\\[dDsSwWbBAzZpP]|\(\?", pattern)
