"""An edit: what a publisher wants of a job, checked against all that the provider documents.

`validate` tells everything that is wrong with a message at once; `api_body` writes what passed
as the provider takes it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import to_json

from schemas import fields
from schemas.bounds import Bounds
from schemas.problem import (
    RULES,
    FieldProblem,
    Invalid,
    broken_rule,
    path_of,
    rule_path,
    unknown_field,
)
from schemas.rules import BAD, broken

__all__ = [
    "Bounds",
    "FieldProblem",
    "InactiveDates",
    "InactiveTime",
    "Invalid",
    "TaskEdit",
    "api_body",
    "validate",
]

UNKNOWN_FIELD: Final = "extra_forbidden"
PROBLEMS_AT_MOST: Final = 100
"""How many problems of one message are told; an honest one has fewer, and events stay small."""


class _Exact(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class InactiveTime(_Exact):
    """A span of every day without calls; it starts before it ends."""

    startTime: fields.ClockTime
    endTime: fields.ClockTime


class InactiveDates(_Exact):
    """Days without calls, from the first to the last; both may be the same."""

    startDate: fields.CalendarDate
    endDate: fields.CalendarDate


InactiveTimeList = Annotated[
    tuple[InactiveTime, ...],
    Field(
        strict=False,
        max_length=fields.SPANS_AT_MOST,
        title="Inactive times",
        description="Spans of every day in which the job rests.",
        examples=[[{"startTime": "12:00", "endTime": "13:00"}]],
    ),
]
InactiveDateList = Annotated[
    tuple[InactiveDates, ...],
    Field(
        strict=False,
        max_length=fields.SPANS_AT_MOST,
        title="Inactive dates",
        description="Spans of days on which the job rests.",
        examples=[[{"startDate": "2026-12-25", "endDate": "2026-12-26"}]],
    ),
]


class TaskEdit(_Exact):
    """What a publisher wants of a job: the parameters of the API's taskEdit, by its own names.

    What is left out, or null, is not sent.
    """

    appId: fields.AppId | None = None
    jobId: fields.JobId
    name: fields.Name
    dialogFlowId: fields.DialogFlowId
    mode: fields.Mode
    startDateTime: fields.StartDateTime | None = None
    endDateTime: fields.EndDateTime | None = None
    dailyStartDateTime: fields.DailyStart
    dailyEndDateTime: fields.DailyEnd
    robotCount: fields.RobotCount
    jobPhoneNumberId: fields.JobPhoneNumberId
    inactiveTimeList: InactiveTimeList | None = None
    inactiveDateList: InactiveDateList | None = None
    daysOfWeek: fields.DaysOfWeek | None = None
    redial: fields.Redial
    redialCondition: fields.RedialCondition | None = None
    redialInterval: fields.RedialInterval | None = None
    redialTimes: fields.RedialTimes | None = None


def validate(document: Mapping[str, Any], bounds: Bounds | None = None) -> TaskEdit | Invalid:
    """Return the edit that the JSON object holds, or everything that is wrong with it.

    `document` is what `schemas.document.read` gives. Without bounds those of an account at the
    provider's defaults apply.
    """
    bounds = bounds or Bounds()
    try:
        edit = TaskEdit.model_validate(document)
    except ValidationError as error:
        return _invalid(document, bounds, error)
    problems = tuple(broken(document, bounds))
    return Invalid(problems) if problems else edit


def api_body(edit: TaskEdit, bounds: Bounds) -> bytes:
    """Return the edit as the body of the provider's call: compact JSON in UTF-8.

    What is absent stays absent, date-times are in the provider's form and the account's zone,
    and an appId that goes without saying is said. Takes an edit that was validated with the same
    bounds; raises ValueError for one that they do not fit.
    """
    changed: dict[str, str] = {}
    if edit.appId is None:
        if bounds.sole_app_id is None:
            raise ValueError("an edit without appId needs an account with exactly one")
        changed["appId"] = bounds.sole_app_id
    for name, moment in (("startDateTime", edit.startDateTime), ("endDateTime", edit.endDateTime)):
        if moment is not None and (local := bounds.local(moment)) != moment:
            if local is None:
                raise ValueError(f"{name} is out of range in the account's zone")
            changed[name] = local
    if changed:
        edit = edit.model_copy(update=changed)
    return to_json(edit, exclude_none=True)


def _invalid(document: Mapping[str, Any], bounds: Bounds, error: ValidationError) -> Invalid:
    """Return what pydantic refused, and which rules the rest of the edit breaks."""
    found = error.errors(include_url=False, include_context=False)
    problems = [
        FieldProblem(path_of(each["loc"]), _text(each["loc"], each["type"], each["input"]))
        for each in found[:PROBLEMS_AT_MOST]
    ]
    locations = {each["loc"] for each in found}
    problems += (
        FieldProblem(name, RULES[name])
        for name in ("inactiveTimeList", "inactiveDateList")
        # pydantic counts a list only when all that is in it was good.
        if _is_too_long(document.get(name)) and (name,) not in locations
    )
    problems += broken(_without(document, locations), bounds)
    return Invalid(tuple(problems[:PROBLEMS_AT_MOST]))


def _text(location: tuple[int | str, ...], kind: str, value: object) -> str:
    if kind == UNKNOWN_FIELD:
        return unknown_field(str(location[-1]), _KNOWN[rule_path(location[:-1])])
    return broken_rule(location, kind, value)


def _is_too_long(value: object) -> bool:
    return isinstance(value, list) and len(value) > fields.SPANS_AT_MOST


def _without(
    document: Mapping[str, Any], locations: Iterable[tuple[int | str, ...]]
) -> dict[str, Any]:
    """Return a copy with `BAD` in the place of each field, or item of a list, that was refused."""
    good = dict(document)
    for name, *inner in locations:
        if not inner:
            good[str(name)] = BAD
        elif good[str(name)] is not BAD:
            if good[str(name)] is document[str(name)]:  # copied once: there may be thousands
                good[str(name)] = list(document[str(name)])
            good[str(name)][int(inner[0])] = BAD
    return good


_KNOWN: Final[Mapping[str, Collection[str]]] = {
    "": TaskEdit.model_fields,
    "inactiveTimeList[]": InactiveTime.model_fields,
    "inactiveDateList[]": InactiveDates.model_fields,
}
