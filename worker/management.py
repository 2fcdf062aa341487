"""RabbitMQ's management HTTP API: it shows what AMQP cannot, and nothing is changed by it.

Source: https://www.rabbitmq.com/docs/http-api-reference
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from worker.api.adapter import ApiSession, BoundedAdapter
from worker.api.errors import RequestException

if TYPE_CHECKING:
    from collections.abc import Mapping

PATIENCE: Final = timedelta(seconds=10)
LARGEST_ANSWER: Final = 32 * 1024 * 1024
"""Bytes; a list of many bindings is long."""


class ManagementError(Exception):
    """The management API cannot be asked; the message is one sentence, without credentials."""


@dataclass(frozen=True, slots=True)
class Held:
    """An exchange or a queue as RabbitMQ holds it."""

    kind: str
    """``topic``, ``fanout`` …, or the queue's type: ``quorum``, ``stream``, ``classic``."""
    arguments: Mapping[str, Any]
    policy: str | None = None
    definition: Mapping[str, Any] = field(default_factory=dict)
    """What policies, an operator's included, make of it."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A queue's binding, with all that names it."""

    exchange: str
    key: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


class Management:
    """Asks about one virtual host; a context manager."""

    def __init__(self, url: str, virtual_host: str, *, user: tuple[str, str] | None = None) -> None:
        """`url` may hold user and password; else `user`'s are taken."""
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        self.address = urlunsplit(parts._replace(netloc=host)).rstrip("/")
        self._session = ApiSession(BoundedAdapter(PATIENCE, PATIENCE, largest_body=LARGEST_ANSWER))
        if parts.username is not None:
            user = unquote(parts.username), unquote(parts.password or "")
        self._session.auth = user
        self.user = user[0] if user else ""
        self.virtual_host = virtual_host

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def exchange(self, name: str) -> Held | None:
        """An exchange, or None when there is none of that name."""
        found = self._get("exchanges", name)
        return None if found is None else _held(found)

    def queue(self, name: str) -> Held | None:
        """A queue, or None when there is none of that name."""
        found = self._get("queues", name)
        return None if found is None else _held(found)

    def queues(self) -> frozenset[str]:
        """The names of all queues."""
        return frozenset(each["name"] for each in self._get("queues") or ())

    def bindings(self, queue: str) -> list[Bound]:
        """How a queue is bound to exchanges; its binding to the default exchange is no such."""
        return [
            Bound(each["source"], each["routing_key"], each.get("arguments") or {})
            for each in self._get("queues", queue, "bindings") or ()
            if each["source"]
        ]

    def keys(self, exchange: str, queue: str) -> frozenset[str]:
        """The routing keys that bind a queue to an exchange."""
        found = self._get("bindings", "e", exchange, "q", queue)
        return frozenset(each["routing_key"] for each in found or ())

    def bound_to(self, exchange: str) -> frozenset[str]:
        """The names of what an exchange sends to, queues and exchanges."""
        found = self._get("exchanges", exchange, "bindings", "source")
        return frozenset(each["destination"] for each in found or ())

    def _get(self, kind: str, *path: str) -> Any | None:  # noqa: ANN401 - JSON of many forms
        """The JSON, None for what does not exist; raises `ManagementError`."""
        rest = "/".join(quote(part, safe="") for part in (self.virtual_host, *path))
        url = f"{self.address}/api/{kind}/{rest}"
        try:
            reply = self._session.get(url)
            if reply.status_code == HTTPStatus.NOT_FOUND:
                return None
            if reply.status_code != HTTPStatus.OK:
                raise ManagementError(f"{self.address} answers with HTTP {reply.status_code}")
            return reply.json()
        except (RequestException, ValueError) as error:
            kind = type(error).__name__
            raise ManagementError(f"{self.address} cannot be asked ({kind})") from None


def _held(found: Mapping[str, Any]) -> Held:
    arguments = dict(found.get("arguments") or {})
    return Held(
        str(found["type"]),
        arguments,
        found.get("policy") or found.get("operator_policy"),
        found.get("effective_policy_definition") or {},
    )
