"""Events in and out, with the official CloudEvents SDK as the oracle."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cloudevents.core.bindings.rabbitmq import RabbitMQMessage, from_structured, to_structured
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from schemas import Malformed, Reason, TaskEdit, read, read_event, unwrap, validate
from schemas.names import CLOUDEVENTS_CONTENT_TYPE
from tests.unit.schemas.builders import FINISHED, body, edit, event

SDK = JSONFormat()


def taken(attributes: dict[str, Any], data: dict[str, Any] | bytes) -> tuple[str, object]:
    """What a worker makes of an event that the SDK has written for RabbitMQ."""
    message = to_structured(CloudEvent(attributes, data), SDK)
    assert message.content_type == CLOUDEVENTS_CONTENT_TYPE
    document = read(message.body)
    assert not isinstance(document, Malformed)
    opened = unwrap(document)
    assert not isinstance(opened, Malformed)
    return opened[0], validate(opened[1])


@pytest.mark.parametrize("data", [edit(), body(edit())], ids=["an object", "bytes"])
def test_an_edit_that_the_sdk_has_written_is_taken(data: dict[str, Any] | bytes) -> None:
    attributes = {"id": "evt-1", "source": "/crm", "type": "crm.edit", "subject": "123"}

    event_id, found = taken(attributes, data)

    assert event_id == "evt-1"
    assert found == validate(edit())
    assert isinstance(found, TaskEdit)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"outcome": "rejected", "reason": Reason.MALFORMED, "job_id": None, "account": None},
        {"outcome": "rejected", "reason": Reason.API_REJECTED, "api_reason": "名称已存在 😀"},
    ],
    ids=["applied", "of no account", "of the provider's words"],
)
def test_the_sdk_reads_our_events(changes: dict[str, Any]) -> None:
    ours = event(**changes)

    found = from_structured(RabbitMQMessage({}, CLOUDEVENTS_CONTENT_TYPE, ours), SDK)

    written = json.loads(ours)
    assert found.get_data() == written["data"]
    assert found.get_attributes() == {
        **{name: value for name, value in written.items() if name != "data"},
        "time": FINISHED,
    }


def test_an_event_that_went_through_the_sdk_is_still_ours() -> None:
    assert read_event(SDK.write(SDK.read(None, event()))) == read_event(event())
