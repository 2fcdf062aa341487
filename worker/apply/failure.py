"""A line of the failures' file: an edit that was not applied, and why; and back.

The edit stands first and unchanged, so that whatever reads drafts can take it out again:
``{"edit":{…},"reason":"api_rejected","detail":"…","apiStatus":"-33","file":"…","line":7}``.
What is no JSON stands there as a text.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worker.apply.sheet import Sheet

_BEGIN = b'{"edit":'
_MARK = ',"reason":"'
_SCAN = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Why:
    """Why an edit was not applied."""

    reason: str
    """One of the contract's reasons; ``unsent``; or ``unsure`` of a call that was cut short."""
    detail: str
    api_status: str | None = None


UNSENT = Why("unsent", "the command ended before this edit was sent")
UNSURE = Why("unsure", "the command ended while this edit was sent: it may have been applied")


def failure_line(sheet: Sheet, why: Why) -> bytes:
    """The line, without its end."""
    rest = {
        "reason": why.reason,
        "detail": why.detail,
        "apiStatus": why.api_status,
        "file": sheet.file,
        "line": sheet.line,
    }
    written = json.dumps(rest, separators=(",", ":")).encode()
    return _BEGIN + _in_a_line(sheet.body) + b"," + written[1:]


def edit_in(line: bytes) -> bytes:
    """The edit of a failure's line; any other line as it is."""
    if not line.startswith(_BEGIN):
        return line
    try:
        text = line.decode()
        value, end = _SCAN.raw_decode(text, len(_BEGIN))
    except (ValueError, RecursionError):
        return line
    if not text.startswith(_MARK, end):
        return line
    return value.encode() if isinstance(value, str) else text[len(_BEGIN) : end].encode()


def _in_a_line(body: bytes) -> bytes:
    """The edit as one line of JSON: line breaks of JSON are only ever layout."""
    try:
        text = body.decode()
        if _SCAN.raw_decode(text)[1] == len(text):
            return body.replace(b"\r", b" ").replace(b"\n", b" ")
    except (ValueError, RecursionError):
        pass
    return json.dumps(body.decode(errors="backslashreplace")).encode()
