"""A delivery read: every bad kind of message has its reason, and nothing raises."""

from __future__ import annotations

import json
from base64 import b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import Bounds, Reason
from tests.unit.builders import delivery, headers, properties, read
from tests.unit.schemas.builders import ABSENT, body, edit
from worker.core.decode import Edit, Undecodable, decode

ANY = Bounds()
ONE_APP = Bounds(app_ids=frozenset(("LILIN888",)))
TWO_APPS = Bounds(app_ids=frozenset(("LILIN888", "OTHER")))
CLOUDEVENTS = "application/cloudevents+json"


def unfit(content: bytes, bounds: Bounds = ANY, content_type: str | None = None) -> Undecodable:
    message = delivery(content, properties=properties(content_type=content_type))
    found = decode(message, "acme", bounds)
    assert isinstance(found, Undecodable)
    return found


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"\xff\xfe{}", "UTF-8"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b"not json", "not JSON"),
        (b'{"jobId": 1', "not JSON"),
        (b"[]", "a list"),
        (b"null", "null"),
        (b'"text"', "text"),
        (b"17", "whole number"),
        (b'{"jobId": 1, "jobId": 2}', '"jobId" more than once'),
        (b'{"jobId": NaN}', "NaN"),
        (b'{"jobId": -Infinity}', "-Infinity"),
        (b'{"name": "\\ud800"}', "surrogate"),
        (b'{"a":' * 33 + b"1" + b"}" * 33, "32 levels"),
        (b"[" * 60_000, "levels"),
        (b'{"jobId": 1' + b"0" * 5000 + b"}", "digits"),
        (b'{"name": "' + b"x" * 65_536 + b'"}', "65536 bytes"),
    ],
)
def test_a_body_that_cannot_be_read_is_malformed_and_says_why(content: bytes, word: str) -> None:
    found = unfit(content)

    assert found.verdict.reason is Reason.MALFORMED
    assert word in found.verdict.detail
    assert (found.head.job_id, found.head.app_id) == (None, None)
    assert found.head.message_id == "m-1"
    assert found.head.identity is not None


@pytest.mark.parametrize(
    ("changes", "field", "word"),
    [
        ({"jobId": ABSENT}, "jobId", "required"),
        ({"jobId": None}, "jobId", "required"),
        ({"jobId": "123"}, "jobId", "not text"),
        ({"jobId": True}, "jobId", "not true or false"),
        ({"jobId": 1.0}, "jobId", "fraction"),
        ({"jobId": 0}, "jobId", "from 1"),
        ({"jobId": 2**63}, "jobId", "Long"),
        ({"robotCount": 2**31}, "robotCount", "Int"),
        ({"name": " \t"}, "name", "not blank"),
        ({"mode": "auto"}, "mode", "MANUAL or AUTO"),
        ({"startDateTime": ABSENT}, "startDateTime", "required when mode is AUTO"),
        ({"startDateTime": "2023-02-30 08:00:00"}, "startDateTime", "real date"),
        ({"dailyStartDateTime": "08:59"}, "dailyStartDateTime", "09:00"),
        ({"dailyEndDateTime": "9:00"}, "dailyEndDateTime", "HH:MM"),
        ({"daysOfWeek": ["SUNDAY", "FUNDAY"]}, "daysOfWeek[1]", "MONDAY"),
        ({"redialTimes": 4}, "redialTimes", "from 1 to 3"),
        ({"robotcount": 3}, "robotcount", "nearest is robotCount"),
        (
            {"inactiveTimeList": [{"startTime": "13:00", "endTime": "12:00"}]},
            "inactiveTimeList[0].endTime",
            "later",
        ),
    ],
)
def test_an_edit_against_a_rule_is_invalid_and_names_the_field(
    changes: dict[str, object], field: str, word: str
) -> None:
    found = unfit(body(edit(**changes)))

    assert found.verdict.reason is Reason.INVALID
    assert [(each.field, word in each.problem) for each in found.verdict.fields] == [(field, True)]
    assert found.verdict.detail.startswith(field)


def test_all_that_is_wrong_with_an_edit_is_told_at_once() -> None:
    found = unfit(body(edit(jobId="1", mode="X", redialTimes=9)))

    assert {each.field for each in found.verdict.fields} == {"jobId", "mode", "redialTimes"}


def test_an_invalid_edit_still_says_whose_job_and_app_it_is() -> None:
    found = unfit(body(edit(mode="X")))

    assert (found.head.job_id, found.head.app_id) == (123, "LILIN888")


@pytest.mark.parametrize("job", ["123", True, 0, -1, 2**63, 1.5, None, [1]])
def test_a_job_id_that_is_none_is_not_told(job: object) -> None:
    assert unfit(body(edit(jobId=job))).head.job_id is None


@pytest.mark.parametrize(
    ("bounds", "app_id", "wrong"),
    [
        (ANY, ABSENT, True),
        (ANY, "WHATEVER", False),
        (ONE_APP, ABSENT, False),
        (ONE_APP, "LILIN888", False),
        (ONE_APP, "OTHER", True),
        (TWO_APPS, ABSENT, True),
        (TWO_APPS, "OTHER", False),
    ],
)
def test_an_app_id_is_the_accounts_own_or_goes_without_saying(
    bounds: Bounds, app_id: object, *, wrong: bool
) -> None:
    found = decode(delivery(body(edit(appId=app_id))), "acme", bounds)

    assert isinstance(found, Undecodable) is wrong
    if isinstance(found, Undecodable):
        assert [each.field for each in found.verdict.fields] == ["appId"]
    else:
        assert json.loads(found.request)["appId"] == found.head.app_id


def test_a_good_edit_becomes_the_request_as_the_api_takes_it() -> None:
    found = read(delivery(body(edit(startDateTime="2026-12-01T01:30:00Z", endDateTime=None))))

    request = json.loads(found.request)
    assert request["startDateTime"] == "2026-12-01 09:30:00"  # in the account's zone
    assert "endDateTime" not in request
    assert found.job == found.head.job_id == request["jobId"] == 123


@pytest.mark.parametrize(
    "content_type", [None, "", "application/json", "application/json; charset=utf-8", "text/plain"]
)
def test_without_the_word_cloudevents_the_body_is_the_edit(content_type: str | None) -> None:
    message = delivery(properties=properties(content_type=content_type))

    assert read(message).head.message_id == "m-1"


@pytest.mark.parametrize(
    "content_type", [CLOUDEVENTS, "Application/CloudEvents+JSON; charset=UTF-8"]
)
@pytest.mark.parametrize("base64", [False, True])
def test_in_a_cloudevent_the_edit_is_its_data_and_its_id_the_message_id(
    content_type: str, *, base64: bool
) -> None:
    data = {"data_base64": b64encode(body(edit())).decode()} if base64 else {"data": edit()}
    content = body({"specversion": "1.0", "id": "ce-1", "source": "/us", "type": "edit"} | data)
    message = delivery(content, properties=properties(content_type=content_type))

    found = read(message)

    assert found.head.message_id == "ce-1"
    assert found.head.identity is not None
    assert found.head.identity.message_id == "ce-1"
    assert json.loads(found.request)["jobId"] == 123


@pytest.mark.parametrize(
    "event",
    [
        {"id": "ce-1", "data": edit()},
        {"specversion": "0.3", "id": "ce-1", "data": edit()},
        {"specversion": "1.0", "data": edit()},
        {"specversion": "1.0", "id": "", "data": edit()},
        {"specversion": "1.0", "id": "ce-1"},
        {"specversion": "1.0", "id": "ce-1", "data": "text"},
        {"specversion": "1.0", "id": "ce-1", "data_base64": "!"},
        {"specversion": "1.0", "id": "ce-1", "data_base64": "", "data": edit()},
    ],
)
def test_a_cloudevent_without_what_makes_one_is_malformed(event: dict[str, object]) -> None:
    found = unfit(body(event), content_type=CLOUDEVENTS)

    assert found.verdict.reason is Reason.MALFORMED
    assert "CloudEvent" in found.verdict.detail
    assert found.head.message_id == "m-1"


HOSTILE_TEXT = st.text(st.characters(), max_size=8) | st.sampled_from(
    ("\udcff", "x" * 300, "", "\0")
)


@given(
    content=st.binary(max_size=40)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(
                st.sampled_from(tuple(edit())) | st.text(max_size=3), inner, max_size=3
            )
        ),
        max_leaves=5,
    ).map(body),
    text=HOSTILE_TEXT,
    content_type=st.sampled_from((None, "application/json", CLOUDEVENTS, "\udcff")),
)
@settings(max_examples=100)
def test_whatever_is_published_is_read_or_rejected_and_raises_nothing(
    content: bytes, text: str, content_type: str | None
) -> None:
    hostile = properties(
        message_id=text, correlation_id=text, content_type=content_type, headers=headers(k=text)
    )

    found = decode(delivery(content, properties=hostile), "acme", ANY)

    assert isinstance(found, Edit | Undecodable)
    for told in (found.head.message_id, found.head.correlation_id):
        assert told is None or told.isascii() or told.encode()  # raises if it is no text
