"""Where settlements go without a broker: events to one file, failures to another."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

from schemas import names
from worker.apply.failure import Why, failure_line
from worker.settler import Fate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from schemas import Names
    from worker.apply.sheet import Sheet
    from worker.core.delivery import Publication
    from worker.loop import Loop


class Results:
    """A `worker.settler.Publisher` that writes: an event is a line, a dead letter a failure.

    What cannot be written raises `OSError`, and the command ends.
    """

    def __init__(
        self,
        loop: Loop,
        to: Names,
        sheets: Mapping[str, Sheet],
        events: IO[bytes],
        failures: IO[bytes],
    ) -> None:
        """`sheets`: the edits, by correlation id. Both files are flushed after each line."""
        self.applied = 0
        self.rejected = 0
        self._loop = loop
        self._names = to
        self._sheets = sheets
        self._events = events
        self._failures = failures

    def publish(
        self, publication: Publication, wanted: Callable[[], bool], done: Callable[[Fate], None]
    ) -> None:
        """Write at once, and confirm on the next turn, as a broker does later."""
        del wanted  # nothing is ever given back to a file
        if publication.exchange == self._names.dead:
            self._fail(publication)
        else:
            self.applied += publication.properties.type == names.APPLIED_EVENT_TYPE
            self._events.write(publication.body + b"\n")
            self._events.flush()
        self._loop.post(lambda: done(Fate.CONFIRMED))

    def fail(self, sheet: Sheet, why: Why) -> None:
        """Write a failure."""
        self._failures.write(failure_line(sheet, why) + b"\n")
        self._failures.flush()

    def _fail(self, letter: Publication) -> None:
        self.rejected += 1
        said = letter.properties.headers.text
        why = Why(
            said(names.REASON_HEADER) or "",
            said(names.DETAIL_HEADER) or "",
            said(names.API_STATUS_HEADER) or None,
        )
        self.fail(self._sheets[letter.properties.correlation_id or ""], why)


class NoReplies:
    """`worker.settler.Replies` for edits that have nobody to reply to."""

    def publish(self, publication: Publication) -> None:
        """Never called: a file's edits have no `reply_to`."""
