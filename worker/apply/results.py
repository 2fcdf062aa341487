"""Where settlements go without a broker: events to one file, failures to another.

A line of the failures' file has the edit first and unchanged, so that whatever reads drafts can
take it out again (what is no JSON stands there as a text):
``{"edit":{…},"reason":"api_rejected","detail":"…","apiStatus":"-33","file":"…","line":7}``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from schemas import names
from worker.core.message import ConfirmResult

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from schemas import Names
    from worker.apply.feeder import FileEdit
    from worker.core.message import Publication


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


def failure_line(edit: FileEdit, why: Why) -> bytes:
    """The line, without its end."""
    rest = {
        "reason": why.reason,
        "detail": why.detail,
        "apiStatus": why.api_status,
        "file": edit.file,
        "line": edit.line,
    }
    written = json.dumps(rest, separators=(",", ":")).encode()
    return _BEGIN + _in_a_line(edit.body) + b"," + written[1:]


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


class Results:
    """A publisher that writes: an event is a line, a dead letter a failure.

    What cannot be written raises `OSError`, and the command ends.
    """

    def __init__(
        self,
        to: Names,
        edits: Mapping[str, FileEdit],
        events: IO[bytes],
        failures: IO[bytes],
    ) -> None:
        """`edits`: the edits, by correlation id. Both files are flushed after each line."""
        self.applied = 0
        self.superseded = 0
        self.rejected = 0
        self._names = to
        self._edits = edits
        self._events = events
        self._failures = failures

    async def publish(self, publication: Publication, wanted: Callable[[], bool]) -> ConfirmResult:
        """Write at once."""
        del wanted  # nothing is ever given back to a file
        if publication.exchange == self._names.dead:
            self._fail(publication)
        else:
            self.applied += publication.properties.type == names.APPLIED_EVENT_TYPE
            self.superseded += publication.properties.type == names.SUPERSEDED_EVENT_TYPE
            self._events.write(publication.body + b"\n")
            self._events.flush()
        return ConfirmResult.CONFIRMED

    @property
    def settled(self) -> int:
        """How many edits have come to their end."""
        return self.applied + self.superseded + self.rejected

    def fail(self, edit: FileEdit, why: Why) -> None:
        """Write a failure."""
        self._failures.write(failure_line(edit, why) + b"\n")
        self._failures.flush()

    def _fail(self, letter: Publication) -> None:
        self.rejected += 1
        said = letter.properties.headers.text
        why = Why(
            said(names.REASON_HEADER) or "",
            said(names.DETAIL_HEADER) or "",
            said(names.API_STATUS_HEADER) or None,
        )
        self.fail(self._edits[letter.properties.correlation_id or ""], why)


class NoReplies:
    """`worker.pipeline.settler.Replies` for edits that have nobody to reply to."""

    def publish(self, publication: Publication) -> None:
        """Never called: a file's edits have no `reply_to`."""
