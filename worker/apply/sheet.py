"""One edit of a file on its way through the pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from schemas import Bounds
from schemas.names import JSON_CONTENT_TYPE
from worker.core.decode import decode
from worker.core.delivery import Delivery, Properties

_ANY = Bounds()
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Sheet:
    """Where an edit stands, and its bytes."""

    number: int
    """Among all edits of the command, from 1."""
    file: str
    line: int
    body: bytes
    app_id: str | None
    """As far as it can be read; `job` likewise."""
    job: int | None

    @property
    def where(self) -> str:
        """As people name a place in a file; it is the correlation id of the edit's event."""
        return f"{self.file}:{self.line}"

    def delivery(self, at: datetime) -> Delivery:
        """As a broker would hand it out; its tag is its number. `at`: now, aware, UTC."""
        return _delivery(self.number, self.where, self.app_id or "", self.body, at)


def sheet(number: int, file: str, line: int, body: bytes) -> Sheet:
    """The edit with that body, as far as it can be read without knowing its account."""
    head = decode(_delivery(number, "", "", body, _NEVER), None, _ANY).head
    return Sheet(number, file, line, body, head.app_id, head.job_id)


def _delivery(tag: int, correlation_id: str, key: str, body: bytes, at: datetime) -> Delivery:
    properties = Properties(content_type=JSON_CONTENT_TYPE, correlation_id=correlation_id)
    return Delivery(
        tag,
        exchange="",
        routing_key=key,
        redelivered=False,
        properties=properties,
        body=body,
        received_at=at,
    )
