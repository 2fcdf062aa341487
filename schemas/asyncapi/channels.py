"""The channels: where messages go, in RabbitMQ's terms."""

from __future__ import annotations

from typing import Any

from schemas.asyncapi.messages import BINDING_VERSION
from schemas.event import OUTCOMES
from schemas.names import Names

_EDITS = ("edit", "editInCloudEvent")


def channels(names: Names) -> dict[str, Any]:
    """Return the channels of a namespace, by name."""
    return {
        "edits": _edits(names),
        "lane": _lane(names),
        "events": _events(names),
        "replies": _replies(),
        "journal": _journal(names),
        "deadLetters": _dead_letters(names),
        "control": _control(names),
        "operations": _operations(names),
        "fleet": _fleet(names),
    }


def of_channel(channel: str, *messages: str) -> list[dict[str, str]]:
    """Return references to messages of a channel, which is how operations name them."""
    return [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in messages]


def _edits(names: Names) -> dict[str, Any]:
    return {
        "title": "Edits",
        "address": "{appId}",
        "description": f"The topic exchange `{names.exchange}`; the routing key is the edit's "
        "appId. An edit whose appId belongs to no account goes by the alternate exchange "
        f"`{names.strays}` and ends as `unknown_app`; none is dropped. Its event has the routing "
        "key `rejected.` and the appId as it was written, so whoever listens for another appId "
        "does not hear of it.",
        "messages": _messages(*_EDITS),
        "parameters": {
            "appId": {
                "description": "The edit's appId.",
                "location": "$message.payload#/appId",
                "examples": ["LILIN888"],
            }
        },
        "bindings": _exchange(
            names.exchange, "topic", **{"x-arguments": {"alternate-exchange": names.strays}}
        ),
    }


def _lane(names: Names) -> dict[str, Any]:
    return {
        "title": "An account's lane",
        "address": names.lane("{account}"),
        "description": "The queue of one account's edits: a quorum queue with a single active "
        "consumer, which is the worker. Publish to it through the default exchange when you know "
        "the account and not its appIds. Never consume from it.",
        "messages": _messages(*_EDITS),
        "parameters": {
            "account": {
                "description": "The account's name in the worker's settings.",
                "default": "default",
                "examples": ["acme"],
            }
        },
        "bindings": _queue(names.lane("{account}")),
    }


def _events(names: Names) -> dict[str, Any]:
    return {
        "title": "Events",
        "address": "{outcome}.{appId}",
        "description": f"The topic exchange `{names.events}`. Bind a queue of your own: by "
        "`*.LILIN888` for all of one appId and by `*._` for what could not be read, by "
        "`rejected.#` for all that went wrong, by `superseded.#` for what a newer edit made "
        "needless, by `#` for everything. A queue that refuses events does not hold the worker up, "
        "so give yours the room it needs.",
        "messages": _messages(*OUTCOMES),
        "parameters": {
            "outcome": {
                "description": "What became of the edit.",
                "enum": list(OUTCOMES),
                "location": "$message.payload#/data/outcome",
            },
            "appId": {
                "description": "The edit's appId; `_` for one outside `[A-Za-z0-9_-]{1,100}` or "
                "not known.",
                "location": "$message.payload#/data/appId",
                "examples": ["LILIN888", "_"],
            },
        },
        "bindings": _exchange(names.events, "topic"),
    }


def _replies() -> dict[str, Any]:
    return {
        "title": "Your own replies",
        "address": None,
        "description": "The queue that you name in an edit's `reply_to`. It gets the same event as "
        "the events' exchange, best effort.",
        "messages": _messages(*OUTCOMES),
        "bindings": {
            "amqp": {
                "is": "queue",
                "queue": {"durable": False, "exclusive": True, "autoDelete": True},
                "bindingVersion": BINDING_VERSION,
            }
        },
    }


def _journal(names: Names) -> dict[str, Any]:
    return {
        "title": "The journal",
        "address": names.journal,
        "description": "A stream of all events, kept for at most 7 days and 2 GB (less by policy): "
        "what happened before you subscribed. RabbitMQ without streams has none.",
        "messages": _messages(*OUTCOMES),
        "bindings": _queue(names.journal),
    }


def _dead_letters(names: Names) -> dict[str, Any]:
    return {
        "title": "Dead letters",
        "address": names.dead,
        "description": "The quorum queue of all rejected edits; nothing in it expires. "
        "`taskedit dead` lists, shows, exports, redrives and discards them; a consumer of your own "
        "that gives letters back would reorder them.",
        "messages": _messages("deadLetter"),
        "bindings": _queue(names.dead),
    }


def _control(names: Names) -> dict[str, Any]:
    return {
        "title": "Control",
        "address": names.control,
        "description": "A stream of what operators want of accounts, which every worker reads from "
        "its first entry: the last entry of an account that has not ended holds. At most 20 MB. "
        "`taskedit pause` and `taskedit resume` write it; nothing else needs to.",
        "messages": _messages("controlEntry"),
        "bindings": _queue(names.control),
    }


def _operations(names: Names) -> dict[str, Any]:
    return {
        "title": "Operations",
        "address": names.operations,
        "description": "A stream of what operators did to letters and accounts, kept for at most a "
        "year and 200 MB: what `taskedit audit` shows. Each operation has two records with one id, "
        "*begun* and *ended*.",
        "messages": _messages("operationRecord"),
        "bindings": _queue(names.operations),
    }


def _fleet(names: Names) -> dict[str, Any]:
    return {
        "title": "Fleet",
        "address": names.fleet,
        "description": f"The fanout exchange `{names.fleet}`: every worker says every few seconds "
        "how it is doing. Nothing is kept; bind a short queue of your own, as `taskedit lanes` "
        "does.",
        "messages": _messages("heartbeat"),
        "bindings": _exchange(names.fleet, "fanout"),
    }


def _messages(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/messages/{name}"} for name in names}


def _exchange(name: str, kind: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - extensions
    """Return the binding of an exchange; it has no field for arguments, hence an extension."""
    exchange = {"name": name, "type": kind, "durable": True, "autoDelete": False, **more}
    return {"amqp": {"is": "routingKey", "exchange": exchange, "bindingVersion": BINDING_VERSION}}


def _queue(name: str) -> dict[str, Any]:
    queue = {"name": name, "durable": True, "exclusive": False, "autoDelete": False}
    return {"amqp": {"is": "queue", "queue": queue, "bindingVersion": BINDING_VERSION}}
