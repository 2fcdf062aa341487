"""Tracing as the pipeline sees it; `worker.observability.tracing` is what does it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from worker.core.message import Delivery
    from worker.core.reply import Reply


class Trace(Protocol):
    """One edit being processed. Any thread may use it."""

    trace_id: str
    """32 hex digits, the publisher's own if the message had one."""

    def call(self, make: Callable[[str], Reply | None]) -> Reply | None:
        """The reply that `make` brings, if any; it is given the `traceparent` to send along."""

    def publish(self) -> Mapping[str, str]:
        """Its event is about to be published: the headers that let subscribers follow it."""

    def end(self, outcome: str, reason: str) -> None:
        """Its event is confirmed. `reason` is empty unless it was rejected."""


class Tracing(Protocol):
    """Makes traces."""

    def begin(self, delivery: Delivery, account: str | None, url: str | None) -> Trace:
        """A message is being processed; its headers say what it is a part of.

        `url` is where the account's calls go; None for a message that no account owns.
        """
