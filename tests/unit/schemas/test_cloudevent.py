from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from schemas import Malformed, unwrap
from tests.unit.schemas.builders import ABSENT, body, edit


def cloudevent(**changes: object) -> dict[str, Any]:
    good: dict[str, object] = {
        "specversion": "1.0",
        "id": "evt-1",
        "source": "/crm",
        "type": "crm.edit",
        "data": edit(),
    }
    return {name: value for name, value in (good | changes).items() if value is not ABSENT}


def test_the_edit_is_the_data_and_the_id_stands_for_the_message_id() -> None:
    assert unwrap(cloudevent()) == ("evt-1", edit())


def test_base64_of_the_edit_is_taken_too() -> None:
    encoded = b64encode(body(edit())).decode()

    assert unwrap(cloudevent(data=ABSENT, data_base64=encoded)) == ("evt-1", edit())


def test_attributes_that_do_not_matter_are_not_looked_at() -> None:
    assert unwrap(cloudevent(source=ABSENT, type=7, traceparent=None, subject=[])) == (
        "evt-1",
        edit(),
    )


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"specversion": "0.3"}, 'The CloudEvent\'s specversion is not "1.0".'),
        ({"specversion": 1.0}, 'The CloudEvent\'s specversion is not "1.0".'),
        ({"specversion": ABSENT}, 'The CloudEvent\'s specversion is not "1.0".'),
        ({"id": ABSENT}, "The CloudEvent has no id."),
        ({"id": None}, "The CloudEvent has no id."),
        ({"id": ""}, "The CloudEvent has no id."),
        ({"id": 17}, "The CloudEvent has no id."),
        ({"data": ABSENT}, "The CloudEvent's data is not a JSON object."),
        ({"data": None}, "The CloudEvent's data is not a JSON object."),
        ({"data": '{"jobId": 1}'}, "The CloudEvent's data is not a JSON object."),
        ({"data": [edit()]}, "The CloudEvent's data is not a JSON object."),
        (
            {"data_base64": "e30="},
            "The CloudEvent's data_base64 is no text, or there is data beside it.",
        ),
        (
            {"data": ABSENT, "data_base64": {}},
            "The CloudEvent's data_base64 is no text, or there is data beside it.",
        ),
        ({"data": ABSENT, "data_base64": "e30"}, "The CloudEvent's data_base64 is not base64."),
        ({"data": ABSENT, "data_base64": "é30="}, "The CloudEvent's data_base64 is not base64."),
        (
            {"data": ABSENT, "data_base64": "W10="},
            "In the CloudEvent's data_base64: The body is a list, not a JSON object.",
        ),
    ],
)
def test_what_holds_no_edit_says_why(changes: dict[str, Any], detail: str) -> None:
    assert unwrap(cloudevent(**changes)) == Malformed(detail)
