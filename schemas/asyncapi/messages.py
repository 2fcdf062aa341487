"""The messages: what is in them, and in the AMQP properties around them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from schemas import examples, names
from schemas.asyncapi.payloads import reference
from schemas.event import Outcome
from schemas.reason import Reason

BINDING_VERSION: Final = "0.3.0"
"""Of AsyncAPI's AMQP bindings. They know no AMQP properties; ours are in ``x-properties``."""

CLOUDEVENT: Final[dict[str, Any]] = {
    "specversion": "1.0",
    "id": "c0ffee00-0000-4000-8000-000000000001",
    "source": "/campaigns",
    "type": "com.example.job-changed",
    "datacontenttype": "application/json",
    "data": examples.EDITS[1],
}

_OF_AN_EDIT: Final = {
    "message_id": "One of your own, at most 255 bytes; strongly advised. It makes a repeat "
    "harmless and comes back as the event's data.messageId.",
    "correlation_id": "Comes back in the event.",
    "reply_to": "A queue that shall get the event too. Best effort: the events' exchange is sure.",
    "delivery_mode": "2, persistent.",
    "timestamp": "In seconds, when you published it. Carried over to a dead letter.",
    "priority": "None. From RabbitMQ 4.0 on one above 4 lets an edit overtake others, of its own "
    "job too.",
    "expiration": "In milliseconds, as text. An edit that waits longer ends as expired.",
}
_OF_AN_EVENT: Final = {
    "message_id": "The event's id: the same for every copy of it.",
    "correlation_id": "The edit's correlation id, or else its message id.",
    "type": "The event's type.",
    "delivery_mode": "2, persistent.",
    "timestamp": "When the outcome was certain, in seconds.",
}
_MEANINGS: Final[dict[Outcome, str]] = {
    "applied": "The provider took the edit.",
    "rejected": "The edit was not applied, and why.",
    "superseded": "The edit was not called: a newer one that states all its fields was applied.",
}
_OF_A_DEAD_LETTER: Final = {
    "message_id, correlation_id, content_type, content_encoding, type, app_id, timestamp, "
    "reply_to, priority": "As the publisher set them.",
    "user_id, expiration": "Not carried; the user id is in the header taskedit-user-id.",
}


def messages() -> dict[str, Any]:
    """Return the messages of the contract, by name, for ``components``."""
    return {
        "edit": _edit(),
        "editInCloudEvent": _edit_in_cloud_event(),
        "applied": _event("applied", examples.APPLIED),
        "rejected": _event("rejected", examples.REJECTED),
        "superseded": _event("superseded", examples.SUPERSEDED),
        "deadLetter": _dead_letter(),
        "controlEntry": _of_operators(
            "Control entry",
            "What an operator wants of an account: pause or resume.",
            "ControlEntry",
            examples.CONTROL_ENTRY,
        ),
        "operationRecord": _of_operators(
            "Operation record",
            "What an operator did: begun, or ended.",
            "OperationRecord",
            examples.OPERATION_RECORD,
        ),
        "heartbeat": _of_operators(
            "Heartbeat",
            "How one worker is doing, account by account.",
            "Heartbeat",
            examples.HEARTBEAT,
        ),
    }


def reasons() -> str:
    """Return why an edit can be rejected as a table in Markdown."""
    rows = (f"| `{reason.value}` | {reason.meaning} |" for reason in Reason)
    return "\n".join(("| reason | meaning |", "|---|---|", *rows))


def _table(properties: Mapping[str, str]) -> str:
    """Return AMQP properties as a table in Markdown: pages show no extension of a binding."""
    rows = (f"| `{name}` | {meaning} |" for name, meaning in properties.items())
    return "\n".join(("| AMQP property | |", "|---|---|", *rows))


def _edit() -> dict[str, Any]:
    return {
        "title": "Edit",
        "summary": "What you want of a job, in the API's own field names.",
        "description": 'One JSON object in UTF-8, at most 64 KiB. Types are strict: `"123"`, '
        "`true` and `1.0` are no whole numbers. `null` means absent. An unknown field is an error."
        f"\n\n{_table(_OF_AN_EDIT)}",
        "contentType": names.JSON_CONTENT_TYPE,
        "headers": reference("TraceHeaders"),
        "correlationId": _by_message_id(),
        "payload": reference("TaskEdit"),
        "examples": [
            {"name": "automatic", "summary": "All fields.", "payload": examples.EDITS[0]},
            {
                "name": "manual",
                "summary": "Only what is required, for an account with exactly one appId.",
                "payload": examples.EDITS[1],
            },
        ],
        "bindings": _binding(_OF_AN_EDIT),
    }


def _edit_in_cloud_event() -> dict[str, Any]:
    return {
        "title": "Edit in a CloudEvent",
        "summary": "The same edit as the data of a structured CloudEvent 1.0.",
        "description": "The event's `id` stands for the message id. The worker looks at no other "
        "attribute. The data may also be base64 of the edit, in `data_base64`. The AMQP properties "
        "are those of an edit, but for the message id.",
        "contentType": names.CLOUDEVENTS_CONTENT_TYPE,
        "headers": reference("TraceHeaders"),
        "correlationId": {
            "description": "Comes back as data.messageId of the outcome.",
            "location": "$message.payload#/id",
        },
        "payload": reference("EditInCloudEvent"),
        "examples": [{"name": "wrapped", "summary": "An edit as data.", "payload": CLOUDEVENT}],
        "bindings": _binding({key: _OF_AN_EDIT[key] for key in _OF_AN_EDIT if key != "message_id"}),
    }


def _event(outcome: Outcome, example: Mapping[str, Any]) -> dict[str, Any]:
    summary = _MEANINGS[outcome]
    description = f"A structured CloudEvent 1.0.\n\n{_table(_OF_AN_EVENT)}"
    if outcome == "superseded":
        description += (
            "\n\nOnly of accounts whose operator has set `coalesce`: a newer edit of the job was "
            "waiting too, states every field that this one does, and has been applied. There is no "
            "dead letter, for there is nothing to mend."
        )
    if outcome == "rejected":
        description += f"\n\nIts dead letter is there before it is.\n\n{reasons()}"
    return {
        "title": outcome.capitalize(),
        "summary": summary,
        "description": description,
        "contentType": names.CLOUDEVENTS_CONTENT_TYPE,
        "headers": reference("TraceHeaders"),
        "correlationId": {
            "description": "The edit's message id: how you know the outcome of your own edit.",
            "location": "$message.payload#/data/messageId",
        },
        "payload": reference(f"{outcome.capitalize()}Event"),
        "examples": [{"name": outcome, "summary": summary, "payload": example}],
        "bindings": _binding(_OF_AN_EVENT, messageType=example["type"]),
    }


def _dead_letter() -> dict[str, Any]:
    return {
        "title": "Dead letter",
        "summary": "An edit set aside with its reason, for a person to mend and send again.",
        "description": "The publisher's own headers are there too, except CC, BCC and all that "
        f"begin with `x-`.\n\n{_table(_OF_A_DEAD_LETTER)}\n\n{reasons()}",
        "headers": reference("DeadLetterHeaders"),
        "correlationId": _by_message_id(),
        "payload": reference("DeadLetterBody"),
        "examples": [
            {
                "name": "taken",
                "summary": "The provider refused it: the job's name was taken.",
                "headers": examples.DEAD_LETTER_HEADERS,
                "payload": examples.EDITS[0],
            }
        ],
        "bindings": _binding(_OF_A_DEAD_LETTER),
    }


def _by_message_id() -> dict[str, str]:
    return {
        "description": "The AMQP property message_id; the outcome has it as data.messageId.",
        "location": "$message.header#/message_id",
    }


def _of_operators(
    title: str, summary: str, schema: str, example: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a message between workers and the tools of operators."""
    return {
        "title": title,
        "summary": summary,
        "contentType": names.JSON_CONTENT_TYPE,
        "payload": reference(schema),
        "examples": [{"name": "example", "summary": summary, "payload": example}],
    }


def _binding(properties: Mapping[str, str], **more: str) -> dict[str, Any]:
    amqp = {**more, "x-properties": dict(properties), "bindingVersion": BINDING_VERSION}
    return {"amqp": amqp}
