"""The operations: what publishers, subscribers and operators do with the channels."""

from __future__ import annotations

from typing import Any

from schemas.asyncapi.channels import of_channel
from schemas.asyncapi.messages import BINDING_VERSION
from schemas.event import OUTCOMES

PUBLISHER = {"name": "publisher", "description": "Systems that want jobs changed."}
SUBSCRIBER = {"name": "subscriber", "description": "Systems that want to know what became of it."}
OPERATOR = {"name": "operator", "description": "People who put right what went wrong."}


def operations() -> dict[str, Any]:
    """Return what each side does, by name."""
    edits, outcomes = ("edit", "editInCloudEvent"), OUTCOMES
    reply = {
        "address": {
            "description": "The AMQP property reply_to: a queue of your own.",
            "location": "$message.header#/reply_to",
        },
        "channel": {"$ref": "#/channels/replies"},
        "messages": of_channel("replies", *outcomes),
    }
    return {
        "publishEdit": {
            **_operation("send", "edits", *edits),
            "summary": "Publish an edit.",
            "description": "It is safe once RabbitMQ has confirmed it and not returned it. No "
            "confirm, or the connection lost before it came? Publish the same bytes again under "
            "the same message_id.",
            "tags": [PUBLISHER],
            "bindings": _sent(),
            "reply": reply,
        },
        "publishEditToLane": {
            **_operation("send", "lane", *edits),
            "summary": "Publish straight to an account.",
            "description": "Through the default exchange, with the queue's name as routing key.",
            "tags": [PUBLISHER],
            "bindings": _sent(),
            "reply": reply,
        },
        "receiveReply": {
            **_operation("receive", "replies", *outcomes),
            "summary": "Wait for the outcome of your own edit.",
            "description": "Declare the queue before you publish. Your edit is the one with your "
            "message id in data.messageId.",
            "tags": [PUBLISHER],
            "bindings": _received(),
        },
        "receiveEvent": {
            **_operation("receive", "events", *outcomes),
            "summary": "Receive what became of edits.",
            "description": "Each event comes at least once; a copy has the same id. Fields may be "
            "added within v1: ignore what you do not know.",
            "tags": [SUBSCRIBER],
            "bindings": _received(),
        },
        "readJournal": {
            **_operation("receive", "journal", *outcomes),
            "summary": "Read past events.",
            "description": "Reading takes nothing away. Consume with a prefetch and acks. The "
            "consumer's argument `x-stream-offset` says where to begin: `first`, `last`, `next`, "
            "or a time.",
            "tags": [SUBSCRIBER],
            "bindings": _received(),
        },
        "takeDeadLetter": {
            **_operation("receive", "deadLetters", "deadLetter"),
            "summary": "Take out a dead letter.",
            "description": "Better left to `taskedit dead`.",
            "tags": [OPERATOR],
            "bindings": _received(),
        },
        "readControl": {
            **_operation("receive", "control", "controlEntry"),
            "summary": "Read who paused which account, and why.",
            "description": "From `x-stream-offset` `first` on. Skip what you cannot read.",
            "tags": [OPERATOR],
            "bindings": _received(),
        },
        "readOperations": {
            **_operation("receive", "operations", "operationRecord"),
            "summary": "Read who did what to letters and accounts.",
            "description": "What was begun and never ended was cut short.",
            "tags": [OPERATOR],
            "bindings": _received(),
        },
        "watchFleet": {
            **_operation("receive", "fleet", "heartbeat"),
            "summary": "Watch every worker of the fleet.",
            "description": "One that has not been heard of for 15 s is silent.",
            "tags": [OPERATOR],
            "bindings": _received(),
        },
    }


def _operation(action: str, channel: str, *messages: str) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": of_channel(channel, *messages),
    }


def _sent() -> dict[str, Any]:
    amqp = {"deliveryMode": 2, "mandatory": True, "timestamp": True}
    return {"amqp": {**amqp, "bindingVersion": BINDING_VERSION}}


def _received() -> dict[str, Any]:
    return {"amqp": {"ack": True, "bindingVersion": BINDING_VERSION}}
