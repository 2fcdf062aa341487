"""What operators did: the operations stream, followed from its first record."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from schemas import read_operation
from worker.console.model import OperationRow, Page

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from schemas import OperationRecord
    from worker.console.model import OperationState
    from worker.core.message import Delivery
    from worker.deadletters.redrive import RedriveProgress

LOCKED_WITHIN: Final = timedelta(seconds=20)
"""Who has recorded that an operation begins has the lock so soon, or never."""
GOES_ON_IN: Final = "goes_on_in"
"""In the result of an operation that was cut short: which one goes on with what it left."""
_DONE: Final = ("sent", "copies", "gone", "discarded", "imported")
"""In a result: counts of letters that there is nothing more to do about."""
_NOT_DONE: Final = ("unroutable", "refused", "unsure")
OF_LETTERS: Final = frozenset(("redrive", "discard", "mend", "import"))


@dataclass(slots=True)
class Running:
    """An operation that runs in this console."""

    progress: RedriveProgress
    total: int


@dataclass(slots=True)
class _Entry:
    begun: OperationRecord
    vouched: bool
    ended: OperationRecord | None = None
    is_cut_short: bool = False
    """Nobody was at the letters, and it had not ended."""


class OperationLog:
    """Every operation by its id, in the order in which they began."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self.is_locked: bool | None = None
        """Whether anybody is at the dead letters; None when that cannot be told."""
        self.running: dict[str, Running] = {}
        """Those of this console, by id."""
        self.looked_at: datetime | None = None
        """When the dead letters were looked at last."""
        self._database = database
        self._entries: dict[str, _Entry] = {}

    def hear(self, delivery: Delivery) -> OperationRecord | None:
        """Take in the next record; None for what is none."""
        record = read_operation(delivery.body)
        if record is not None:
            user = delivery.properties.user_id
            self.add(record, vouched=user is not None and user == record.user)
        return record

    def add(self, record: OperationRecord, *, vouched: bool) -> None:
        """Take in a record; of each half of an operation the first counts.

        What says in the end that another operation goes on with the rest counts all the same.
        """
        slim = record.model_copy(update={"ids": ()})
        if record.phase == "ended":
            entry = self._entries.get(record.id)
            is_news = entry is not None and (
                entry.ended is None or GOES_ON_IN in (record.result or {})
            )
            if entry is not None and is_news:
                entry.ended = slim
        elif record.id in self._entries:
            self._entries[record.id].vouched |= vouched
        else:
            rows = [(event_id, record.id) for event_id in record.ids if event_id]
            self._database.executemany("INSERT INTO touched VALUES (?, ?)", rows)
            self._entries[record.id] = _Entry(slim, vouched)

    def ids(self, operation: str) -> tuple[str, ...]:
        """Event ids of the letters of an operation, the first thousand."""
        query = "SELECT event_id FROM touched WHERE operation = ? ORDER BY rowid"
        return tuple(id_ for (id_,) in self._database.execute(query, (operation,)))

    def row(self, operation: str) -> OperationRow | None:
        """One operation; None when there is none of that id."""
        entry = self._entries.get(operation)
        return None if entry is None else self._row(entry)

    def page(self, cursor: str | None = None, limit: int = 50) -> Page[OperationRow]:
        """Operations, the newest first; `cursor` is the `next` of the page before."""
        ids = list(reversed(self._entries))
        first = ids.index(cursor) if cursor in self._entries else 0
        shown = ids[first : first + limit]
        following = ids[first + limit : first + limit + 1]
        rows = tuple(self._row(self._entries[each]) for each in shown)
        return Page(rows, following[0] if following else None)

    def see_lock(self, *, is_locked: bool | None) -> None:
        """Whether anybody is at the letters: where nobody is, what has not ended was cut short."""
        self.is_locked = is_locked
        if is_locked is False:
            old = datetime.now(UTC) - LOCKED_WITHIN
            for entry in self._open():
                entry.is_cut_short = entry.begun.at < old

    @property
    def has_open(self) -> bool:
        """Whether one about letters may be under way, here or elsewhere."""
        return any(not entry.is_cut_short for entry in self._open())

    def _open(self) -> list[_Entry]:
        entries = self._entries.values()
        return [
            entry
            for entry in entries
            if entry.ended is None
            and entry.begun.action in OF_LETTERS
            and entry.begun.id not in self.running
        ]

    def unended(self) -> list[OperationRow]:
        """Those that were begun and have not ended, by what is known."""
        return [self._row(entry) for entry in self._entries.values() if entry.ended is None]

    def at_the_letters(self) -> OperationRow | None:
        """The newest about letters that has not ended and was not cut short, as far as is known."""
        at_it = [
            row for row in self.unended() if row.action in OF_LETTERS and row.state != "interrupted"
        ]
        return at_it[-1] if at_it else None

    def of_letter(self, event_id: str) -> tuple[OperationRow, ...]:
        """The operations that had a letter in hand, oldest first."""
        query = "SELECT DISTINCT operation FROM touched WHERE event_id = ?"
        found = {id_ for (id_,) in self._database.execute(query, (event_id,))}
        return tuple(self._row(one) for id_, one in self._entries.items() if id_ in found)

    def _row(self, entry: _Entry) -> OperationRow:
        begun, ended = entry.begun, entry.ended
        running = self.running.get(begun.id)
        state = self._state(entry)
        result = (ended.result if ended else None) or {}
        progress = running.progress if running else None
        done = progress.done if progress else self._done(entry)
        of = running.total if running else begun.count
        left = None if of is None or done is None else max(0, of - done)
        return OperationRow(
            id=begun.id,
            at=begun.at,
            actor=begun.actor,
            user=begun.user if entry.vouched else None,
            via=begun.via,
            action=begun.action,
            filter=begun.filter,
            count=begun.count,
            ids=self.ids(begun.id),
            why=begun.why,
            ended=ended.at if ended else None,
            result=result if ended else None,
            state=state,
            done=done or 0,
            applied=progress.applied if progress else whole(result, "applied"),
            rejected=progress.rejected if progress else whole(result, "rejected"),
            left=left,
            step=progress.step or None if progress else None,
            is_ours=running is not None and begun.action != "discard",
            can_go_on=(
                state in {"interrupted", "failed"}
                and begun.action in {"redrive", "discard"}
                and left != 0
                and GOES_ON_IN not in result
            ),
        )

    def _done(self, entry: _Entry) -> int | None:
        """Letters there is nothing more to do about, as the record of the end says.

        Where it does not, those that a look since has not found. None when that is not known.
        """
        result = (entry.ended.result if entry.ended else None) or {}
        counts = [whole(result, name) for name in _DONE if name in result]
        if counts or (entry.ended is not None and "failed" not in result):
            return sum(counts)
        begun = entry.begun
        if self.looked_at is None or self.looked_at < begun.at:
            return None  # whoever began it had the lock: a look since then came after it
        recorded = "SELECT count(*), count(letters.id) FROM touched LEFT JOIN letters"
        found = self._database.execute(
            f"{recorded} ON letters.key = touched.event_id WHERE operation = ?", (begun.id,)
        ).fetchone()
        return found[0] - found[1] if found[0] == begun.count else None

    def _state(self, entry: _Entry) -> OperationState:
        if entry.ended is not None:
            result = entry.ended.result or {}
            if "failed" in result:
                return "failed"
            if result.get("stopped"):
                return "stopped"
            return "incomplete" if any(map(result.get, _NOT_DONE)) else "ended"
        if entry.begun.id in self.running:
            return "running"
        return "interrupted" if entry.is_cut_short else "unknown"


def whole(result: Mapping[str, object], name: str) -> int:
    """A number of a result, which anybody may have written; 0 for what is none."""
    value = result.get(name)
    return value if isinstance(value, int) else 0
