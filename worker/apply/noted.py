"""Calls of the API, with a note of which jobs have been called."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.calls import Caller
    from worker.core.reply import Reply


class Noted:
    """A `worker.calls.Caller` around another."""

    def __init__(self, caller: Caller) -> None:
        self.called: set[int] = set()
        """Jobs that were called; whoever settles an edit takes its job out."""
        self._caller = caller

    def call(
        self,
        body: bytes,
        timestamp: int,
        *,
        traceparent: str | None = None,
        leave: Callable[[], bool],
    ) -> Reply | None:
        """Note, and call."""
        self.called.add(json.loads(body)["jobId"])
        return self._caller.call(body, timestamp, traceparent=traceparent, leave=leave)
