"""The fields of an edit one by one: what each holds and means, in the provider's terms.

Source: the provider's page of ``taskEdit``. Where it is silent nothing is refused here: the
field is passed on, and the API answers. Lists are tuples once read, hence ``strict=False`` on
the list itself; what is in them stays strict.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from schemas.patterns import CALENDAR_DATE, CLOCK_TIME, DATE_TIME, NOT_BLANK
from schemas.problem import INT_MAX, LONG_MAX

SPANS_AT_MOST: Final = 3
"""How many inactive times, and how many inactive dates, the provider takes."""

AppId = Annotated[
    str,
    Field(
        pattern=NOT_BLANK,
        title="Application id",
        description="The application that the job belongs to; also the message's routing key. "
        "May be left out only when the worker's account has exactly one.",
        examples=["LILIN888"],
    ),
]
JobId = Annotated[
    int,
    Field(
        ge=1,
        le=LONG_MAX,
        title="Job id",
        description="The outbound-call job to edit. The edits of one job are applied in order.",
        examples=[123],
    ),
]
Name = Annotated[
    str,
    Field(
        pattern=NOT_BLANK,
        title="Job name",
        description="Not blank, and unique in the provider's account (else status -33: "
        "name already exists).",
        examples=["Autumn reminder"],
    ),
]
DialogFlowId = Annotated[
    int,
    Field(
        ge=1,
        le=INT_MAX,
        title="Script id",
        description="The conversation that the robots lead (else status -41: script id).",
        examples=[8663],
    ),
]
Mode = Annotated[
    Literal["MANUAL", "AUTO"],
    Field(
        title="Start mode",
        description="MANUAL: somebody starts the job. AUTO: it starts at startDateTime.",
        examples=["AUTO"],
    ),
]
StartDateTime = Annotated[
    str,
    Field(
        pattern=DATE_TIME,
        title="Start of the job",
        description="Required when mode is AUTO (else status -28: AUTO without a start "
        "time), without effect when it is "
        "MANUAL. YYYY-MM-DD HH:MM:SS in the account's time zone, or ISO 8601 with an offset.",
        examples=["2026-12-01 09:30:00", "2026-12-01T01:30:00Z"],
    ),
]
EndDateTime = Annotated[
    str,
    Field(
        pattern=DATE_TIME,
        title="End of the job",
        description="Later than startDateTime. YYYY-MM-DD HH:MM:SS in the account's time zone, "
        "or ISO 8601 with an offset.",
        examples=["2026-12-24 18:00:00", "2026-12-24T18:00:00+08:00"],
    ),
]
DailyStart = Annotated[
    str,
    Field(
        pattern=CLOCK_TIME,
        title="First call of a day",
        description="HH:MM, by default not before 09:00 (else status -48: daily window "
        "outside 9:00 to 20:00).",
        examples=["09:00"],
    ),
]
DailyEnd = Annotated[
    str,
    Field(
        pattern=CLOCK_TIME,
        title="Last call of a day",
        description="HH:MM, later than dailyStartDateTime, by default not after 20:00 "
        "(else status -48: daily window outside 9:00 to 20:00).",
        examples=["20:00"],
    ),
]
RobotCount = Annotated[
    int,
    Field(
        ge=1,
        le=INT_MAX,
        title="Robots",
        description="How many robots call at once (else status -52: concurrency above "
        "the account's maximum).",
        examples=[1],
    ),
]
JobPhoneNumberId = Annotated[
    int,
    Field(
        ge=1,
        le=INT_MAX,
        title="Line id",
        description="The line that the calls are made from.",
        examples=[2959],
    ),
]
ClockTime = Annotated[str, Field(pattern=CLOCK_TIME, description="HH:MM.", examples=["12:00"])]
CalendarDate = Annotated[
    str, Field(pattern=CALENDAR_DATE, description="YYYY-MM-DD.", examples=["2026-12-25"])
]
DaysOfWeek = Annotated[
    tuple[
        Annotated[
            Literal["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"],
            Field(title="Day of week"),
        ],
        ...,
    ],
    Field(
        strict=False,
        title="Days of the week",
        description="On which days calls are made.",
        examples=[["MONDAY", "TUESDAY"]],
    ),
]
Redial = Annotated[
    bool,
    Field(
        title="Redial",
        description="Whether to call again the people who were not reached.",
        examples=[False],
    ),
]
RedialCondition = Annotated[
    tuple[
        Annotated[
            Literal[
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
            ],
            Field(title="Redial condition"),
        ],
        ...,
    ],
    Field(
        strict=False,
        title="Redial conditions",
        description="Which outcomes of a call lead to another one (else status -29: redial rule).",
        examples=[["CALL_LOSS", "NO_ANSWER"]],
    ),
]
RedialInterval = Annotated[
    int,
    Field(
        ge=-INT_MAX - 1,
        le=1440,
        title="Redial interval",
        description="Minutes between two calls, at most a day (else status -30: redial interval).",
        examples=[30],
    ),
]
RedialTimes = Annotated[
    int,
    Field(
        ge=1,
        le=3,
        title="Redials",
        description="How often to call again, from 1 to 3 times (else status -31: redial times).",
        examples=[2],
    ),
]
