"""What is wrong with an edit, in words a publisher can act on.

A problem's text goes after the field's name: "redialTimes must be a whole number from 1 to 3".
It names the rule and, where there is one, the provider's status that stands for it. It never
quotes a value, which could be a secret that went to the wrong place.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Annotated, Final

from pydantic import Field

from schemas.document import kind_of, printable

INT_MAX: Final = 2**31 - 1
LONG_MAX: Final = 2**63 - 1

_DETAIL_CHARACTERS_AT_MOST: Final = 1000
_NAME_CHARACTERS_SHOWN: Final = 64

STATUSES: Final[Mapping[str, str]] = {
    "-27": "parameter check failed",
    "-28": "AUTO without a start time",
    "-29": "redial rule",
    "-30": "redial interval",
    "-31": "redial times",
    "-37": "application does not exist",
    "-41": "script id",
    "-48": "daily window outside 9:00 to 20:00",
}
"""What the provider's statuses mean that a message names, in English; its page is in Chinese."""


def status(number: str) -> str:
    """Return a status of the provider in words, for a message in brackets."""
    return f"the provider's status {number}: {STATUSES[number]}"


_ID = f"must be a whole number from 1 to {INT_MAX} (the provider's Int)"
_CLOCK = "must be HH:MM with two digits each, from 00:00 to 23:59"
_DATE = "must be a real date, YYYY-MM-DD"
_MOMENT = (
    "must be a real date and time, YYYY-MM-DD HH:MM:SS or ISO 8601 with an offset like "
    "2026-12-01T01:30:00Z"
)
_DAYS = "MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY, SATURDAY or SUNDAY"
_CONDITIONS = (
    "CALL_LOSS, NO_ANSWER, BUSY, REFUSED, POWER_OFF, OUT_OF_SERVICE, CAN_NOT_CONNECT, "
    "FROM_PHONE_ERROR, SYSTEM_ERROR or VACANT_NUMBER"
)

RULES: Final[Mapping[str, str]] = {
    "appId": f"must be text that is not blank ({status('-37')})",
    "jobId": f"must be a whole number from 1 to {LONG_MAX} (the provider's Long)",
    "name": f"must be text that is not blank ({status('-27')})",
    "dialogFlowId": f"{_ID[:-1]}; {status('-41')})",
    "mode": f"must be MANUAL or AUTO ({status('-27')})",
    "startDateTime": f"{_MOMENT} ({status('-27')})",
    "endDateTime": f"{_MOMENT} ({status('-27')})",
    "dailyStartDateTime": f"{_CLOCK} ({status('-27')})",
    "dailyEndDateTime": f"{_CLOCK} ({status('-27')})",
    "robotCount": _ID,
    "jobPhoneNumberId": _ID,
    "inactiveTimeList": "must be a list of at most 3 times (the provider's own limit)",
    "inactiveTimeList[]": "must be an object with startTime and endTime",
    "inactiveTimeList[].startTime": _CLOCK,
    "inactiveTimeList[].endTime": _CLOCK,
    "inactiveDateList": "must be a list of at most 3 spans of dates (the provider's own limit)",
    "inactiveDateList[]": "must be an object with startDate and endDate",
    "inactiveDateList[].startDate": _DATE,
    "inactiveDateList[].endDate": _DATE,
    "daysOfWeek": "must be a list of days of the week",
    "daysOfWeek[]": f"must be {_DAYS}",
    "redial": "must be true or false (the provider's Boolean)",
    "redialCondition": f"must be a list of redial conditions ({status('-29')})",
    "redialCondition[]": f"must be {_CONDITIONS} ({status('-29')})",
    "redialInterval": f"must be a whole number of minutes, at most 1440 ({status('-30')})",
    "redialTimes": f"must be a whole number from 1 to 3 ({status('-31')})",
}
"""Each field's rule, by its path with the positions in lists left out."""


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One thing wrong with one field, named by its path: inactiveTimeList[1].endTime."""

    field: Annotated[str, Field(description="Which field, by its path.", examples=["redialTimes"])]
    problem: Annotated[str, Field(description="What is wrong with it, and by which rule.")]


@dataclass(frozen=True, slots=True)
class Invalid:
    """An edit that was read and is against the rules: all its problems, at least one."""

    problems: tuple[FieldProblem, ...]

    @property
    def detail(self) -> str:
        """All problems in one sentence of at most 1000 characters."""
        detail = "; ".join(f"{each.field} {each.problem}" for each in self.problems) + "."
        if len(detail) <= _DETAIL_CHARACTERS_AT_MOST:
            return detail
        return f"{detail[: _DETAIL_CHARACTERS_AT_MOST - 1]}…"


def path_of(location: Iterable[int | str]) -> str:
    """Return pydantic's location as the path that a person reads: ``inactiveTimeList[1].endTime``.

    A name that the publisher made up is shortened and stripped of control characters.
    """
    path = ""
    for step in location:
        if isinstance(step, int):
            path += f"[{step}]"
        else:
            name = printable(step, _NAME_CHARACTERS_SHOWN)
            path += f".{name}" if path else name
    return path


def broken_rule(location: tuple[int | str, ...], kind: str, value: object) -> str:
    """Return the text for a field that pydantic refused: the rule, and what was found instead.

    `kind` is pydantic's type of error, `value` what it refused.
    """
    if kind == "missing":
        return "is required"
    if value is None and isinstance(location[-1], str):
        return "is required (null counts as absent)"
    rule = RULES[rule_path(location)]
    wrong_type = kind.endswith("_type") or (kind == "literal_error" and not isinstance(value, str))
    return f"{rule}, not {kind_of(value)}" if wrong_type else rule


def rule_path(location: Iterable[int | str]) -> str:
    """Return where `RULES` keeps the rule of a field: its path without positions."""
    path = "".join("[]" if isinstance(step, int) else f".{step}" for step in location)
    return path.removeprefix(".")


def unknown_field(name: str, known: Collection[str]) -> str:
    """Return the text for a field that does not exist, with the nearest one of `known`.

    The nearest shares most letters and pairs of letters (Dice's coefficient): at some 50 µs a field
    all of a message can be told theirs, where difflib takes over a millisecond for a long one.
    """
    own = _pieces(name[:_NAME_CHARACTERS_SHOWN])

    def likeness(other: str) -> float:
        pieces = _pieces_of_known(other)
        return len(own & pieces) / (len(own) + len(pieces))

    return f"is not a field that the API knows; the nearest is {max(known, key=likeness)}"


def _pieces(name: str) -> frozenset[str]:
    """Return a name's letters and pairs, without what spellings differ in, as in ``job_id``."""
    plain = name.replace("_", "").replace("-", "").lower()
    return frozenset((*plain, *map("".join, pairwise(plain))))


_pieces_of_known = cache(_pieces)
