"""The whole document: who it is for, where RabbitMQ is, and all the other parts."""

from __future__ import annotations

from typing import Any, Final

from schemas.asyncapi.channels import channels
from schemas.asyncapi.messages import messages, reasons
from schemas.asyncapi.operations import OPERATOR, PUBLISHER, SUBSCRIBER, operations
from schemas.asyncapi.payloads import schemas
from schemas.names import Names

VERSION: Final = "1.0.0"
"""Of the contract, not of the worker. Its major number is the one in the events' types."""

_DESCRIPTION: Final = """\
Edits of outbound-call tasks go in; what became of each comes out.

You publish an edit. The worker checks it, sends it to the provider's API, in order and within
the account's limit, and publishes an event: **applied**, or **rejected** with the reason. A
rejected edit is also set aside as a dead letter, for a person to mend and send again.

Operations are told from your side: what you *send* and what you *receive*. `{namespace}` is the
worker's namespace, a setting; every name begins with it. The worker declares exchanges and
queues; you declare only queues of your own.

### Publishing

- The routing key is the edit's `appId`.
- Persistent, mandatory, with publisher confirms: an edit is safe once RabbitMQ has confirmed it
  and not returned it.
- Give each edit a `message_id` of your own, and keep it when you publish the same bytes again:
  as long as its event is less than an hour old and among the last 10,000, the API is not called
  again and you get the same event once more. The same message id with another body is a new
  edit.
- The edits of one job are applied in the order in which they reached the queue.

### Learning the outcome

Subscribe before you publish: either to the events' exchange, which is sure, or by `reply_to`,
which is handy and best effort. Your edit is the one with your message id in `data.messageId`.
An edit may wait for long, while the account is throttled or the API is down; it is not lost.
An edit that cannot be read has no appId: its event's routing key is `rejected._`, and that of an
edit with a misspelt appId ends with what was misspelt. So bind `*.` and your appId as well as
`*._`, and let your own waiting end; or use `reply_to`, which has neither gap.

A rejected edit is published again under a **new** message id, once it or the world is mended:
under the old one, the same bytes are a repeat and get the old rejection.

### Reasons of a rejection

{reasons}

### The same in other forms

The JSON Schema 2020-12 files `edit.json`, `event.json` and `dead-letter-headers.json`, as
`taskedit schema export` writes them, say the same of bodies and headers, and one rule more: that
`mode` AUTO needs `startDateTime`. It is left out here, for generators misread it."""


def document(names: Names | None = None) -> dict[str, Any]:
    """Return the contract of a namespace as an AsyncAPI document."""
    names = names or Names()
    return {
        "asyncapi": "3.0.0",
        "id": "urn:task-edit:v1",
        "info": {
            "title": "Task edits",
            "version": VERSION,
            "description": _DESCRIPTION.format(namespace=names.namespace, reasons=reasons()),
            "license": {
                "name": "Apache-2.0",
                "url": "https://www.apache.org/licenses/LICENSE-2.0",
            },
            "tags": [PUBLISHER, SUBSCRIBER, OPERATOR],
        },
        "defaultContentType": "application/json",
        "servers": {
            "rabbitmq": _server("amqp", "5672", "RabbitMQ, where only trusted machines are near."),
            "rabbitmqTls": _server("amqps", "5671", "RabbitMQ behind TLS."),
        },
        "channels": channels(names),
        "operations": operations(),
        "components": {
            "messages": messages(),
            "schemas": schemas(),
            "securitySchemes": {
                "user": {
                    "type": "userPassword",
                    "description": "A RabbitMQ user that may write to the edits' exchange; for "
                    "outcomes also one that may declare, bind and read queues of its own.",
                }
            },
        },
    }


def _server(protocol: str, port: str, description: str) -> dict[str, Any]:
    return {
        "host": "{host}:{port}",
        "pathname": "/{virtualHost}",
        "protocol": protocol,
        "protocolVersion": "0.9.1",
        "description": description,
        "variables": {
            "host": {"default": "localhost", "description": "Any node of the cluster."},
            "port": {"default": port, "description": "RabbitMQ's own default."},
            "virtualHost": {
                "default": "%2F",
                "description": "The virtual host, percent-encoded.",
                "examples": ["%2F", "task-edit"],
            },
        },
        "security": [{"$ref": "#/components/securitySchemes/user"}],
    }
