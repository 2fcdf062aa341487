"""The names that publishers, subscribers and operators rely on.

Exchanges, queues, routing keys, headers and content types, in one place, so that nobody spells
them twice. Everything in RabbitMQ hangs below one namespace, a setting of the worker.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

JSON_CONTENT_TYPE: Final = "application/json"
"""The body is the edit itself. The same holds for a message without a content type."""

CLOUDEVENTS_CONTENT_TYPE: Final = "application/cloudevents+json"
"""The body is a structured CloudEvent: as input the edit is its ``data``; events always are one."""

APPLIED_EVENT_TYPE: Final = "task-edit.applied.v1"
REJECTED_EVENT_TYPE: Final = "task-edit.rejected.v1"
SUPERSEDED_EVENT_TYPE: Final = "task-edit.superseded.v1"
"""Event types. They name a version of the contract, so they do not follow the namespace."""

REASON_HEADER: Final = "taskedit-reason"
DETAIL_HEADER: Final = "taskedit-detail"
API_STATUS_HEADER: Final = "taskedit-api-status"
ATTEMPTS_HEADER: Final = "taskedit-attempts"
ACCOUNT_HEADER: Final = "taskedit-account"
EXCHANGE_HEADER: Final = "taskedit-exchange"
ROUTING_KEY_HEADER: Final = "taskedit-routing-key"
RECEIVED_AT_HEADER: Final = "taskedit-received-at"
DEAD_AT_HEADER: Final = "taskedit-dead-at"
EVENT_ID_HEADER: Final = "taskedit-event-id"
REDRIVES_HEADER: Final = "taskedit-redrives"
VERSION_HEADER: Final = "taskedit-version"
PLACE_HEADER: Final = "taskedit-place"
USER_ID_HEADER: Final = "taskedit-user-id"
"""Headers of a dead letter, all of them text. The last is there only if the edit had a user id, and
the place (its lane's order, as in the headers of its event) only while there is a journal."""

HANDED_ON_HEADER: Final = "taskedit-handed-on"
"""Of an edit that came from other accounts' lanes, for its appId moved: those, by commas."""

ACCOUNT_PATTERN: Final = r"^[a-z0-9-]{1,40}$"
"""What an account may be called: it becomes a part of a queue's name and of an event's source."""

KEY_BYTES_AT_MOST: Final = 255
"""Of a routing key, in UTF-8: AMQP's own limit."""

_ACCOUNT = re.compile(ACCOUNT_PATTERN)
_ROUTABLE_APP_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")


@dataclass(frozen=True, slots=True)
class Names:
    """What the worker's objects in RabbitMQ are called below one namespace."""

    namespace: str = "task-edit"

    @property
    def exchange(self) -> str:
        """The topic exchange that publishers publish edits to, with the appId as routing key."""
        return self.namespace

    @property
    def strays(self) -> str:
        """Exchange and queue of what reached no lane, or was taken from one by the broker."""
        return f"{self.namespace}.strays"

    @property
    def events(self) -> str:
        """The topic exchange that events are published to; see `event_key`."""
        return f"{self.namespace}.events"

    @property
    def journal(self) -> str:
        """The stream that keeps every event for some days."""
        return f"{self.namespace}.journal"

    @property
    def dead(self) -> str:
        """Exchange and queue of the dead letters."""
        return f"{self.namespace}.dead"

    @property
    def dead_lock(self) -> str:
        """The exclusive queue that lets only one dead-letter command run at a time."""
        return f"{self.namespace}.dead.lock"

    @property
    def control(self) -> str:
        """The stream of what operators want of accounts: pause and resume."""
        return f"{self.namespace}.control"

    @property
    def operations(self) -> str:
        """The stream of what operators did to letters and accounts."""
        return f"{self.namespace}.operations"

    @property
    def fleet(self) -> str:
        """The fanout exchange of the workers' heartbeats."""
        return f"{self.namespace}.fleet"

    def lane(self, account: str) -> str:
        """Return the queue of an account's edits."""
        return f"{self.namespace}.lane.{account}"

    def account_of(self, queue: str) -> str | None:
        """Return the account whose lane the queue is, or None: the reverse of `lane`."""
        prefix = self.lane("")
        account = queue.removeprefix(prefix)
        return account if queue.startswith(prefix) and _ACCOUNT.fullmatch(account) else None


def app_key(app_id: str | None) -> str:
    """Return the appId as one word of a routing key; ``_`` for one that cannot be such a word."""
    return app_id if app_id is not None and _ROUTABLE_APP_ID.fullmatch(app_id) else "_"


def edit_key(app_id: str | None) -> str:
    """Return an edit's routing key: its appId, or ``_`` for one that is too long for a key."""
    key = app_id or ""
    return key if len(key.encode("utf-8", "surrogateescape")) <= KEY_BYTES_AT_MOST else "_"


def event_key(outcome: str, app_id: str | None) -> str:
    """Return an event's routing key, such as ``applied.LILIN888``."""
    return f"{outcome}.{app_key(app_id)}"
