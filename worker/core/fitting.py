"""A message's properties made to fit a connection that carries less than RabbitMQ's default."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from schemas.names import DETAIL_HEADER

if TYPE_CHECKING:
    from worker.core.message import Properties

OURS = "taskedit-"
DETAIL_BYTES = 1024


def fit(properties: Properties, room: int) -> tuple[Properties, tuple[str, ...]]:
    """Properties whose header table is at most `room` bytes, and the names of what was left out.

    The publisher's own headers go, the largest first; a dead letter's detail then says how many.
    If our own are too large all the same, the detail is cut.
    """
    detail = properties.headers.text(DETAIL_HEADER)
    if detail is None:
        headers, left_out = properties.headers.within(room, keeping=OURS)
        return replace(properties, headers=headers), left_out
    most = properties.headers.merged({DETAIL_HEADER: _noted(detail, 2**31)})
    spare = len(most.table) - len(properties.headers.table)
    headers, left_out = properties.headers.within(room - spare, keeping=OURS)
    said = _noted(detail, len(left_out)) if left_out else detail
    excess = len(headers.merged({DETAIL_HEADER: said}).table) - room
    if excess > 0:
        said = _cut(said, max(0, len(said.encode()) - excess))
    return replace(properties, headers=headers.merged({DETAIL_HEADER: said})), left_out


def _noted(detail: str, count: int) -> str:
    note = f" (left out, for the connection carries no more: {count} of its headers)"
    return _cut(detail, DETAIL_BYTES - len(note)) + note


def _cut(text: str, most: int) -> str:
    return text.encode("utf-8", "replace")[:most].decode("utf-8", "ignore")
