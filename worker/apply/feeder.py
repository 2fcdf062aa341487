"""The edits of files, handed to the lane of their account as it has room for them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from schemas import Bounds, Reason
from schemas.names import JSON_CONTENT_TYPE
from worker.core.decode import Undecodable, decode
from worker.core.message import Delivery, Properties
from worker.core.verdict import Rejected

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.apply.offline import RecordingCaller
    from worker.loop import Loop
    from worker.pipeline.completion import Completion
    from worker.pipeline.lane import Lane


_ANY = Bounds()
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class FileEdit:
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


def file_edit(number: int, file: str, line: int, body: bytes) -> FileEdit:
    """The edit with that body, as far as it can be read without knowing its account."""
    head = decode(_delivery(number, "", "", body, _NEVER), None, _ANY).head
    return FileEdit(number, file, line, body, head.app_id, head.job_id)


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


WINDOW = 200
"""Edits in a lane at once, as many as RabbitMQ would hand out."""


class Stack:
    """A `Source` whose deliveries are lines of files: acked ones are done with."""

    def __init__(self, acked: Callable[[int], None]) -> None:
        self.alive = True
        self._acked = acked

    async def ack(self, tag: int) -> None:
        """The edit is settled."""
        self._acked(tag)

    def give_back(self) -> None:
        """Nothing else wants a file's edits: they stay where they are."""


class LaneFeeder:
    """Keeps a lane supplied; what is left in the end was not sent."""

    def __init__(self, lane: Lane, noted: RecordingCaller, acked: Callable[[], None]) -> None:
        """`noted`: the lane's caller."""
        self.lane = lane
        self._noted = noted
        self.given_up = False
        self._acked = acked
        self._source = Stack(self._settled)
        self._to_come: deque[FileEdit] = deque()
        self._in_lane: dict[int, FileEdit] = {}

    def add(self, file_edit: FileEdit) -> None:
        """Queue an edit."""
        self._to_come.append(file_edit)

    def fill(self) -> None:
        """Hand over as many as there is room for."""
        while self._to_come and len(self._in_lane) < WINDOW and not self.given_up:
            file_edit = self._to_come.popleft()
            self._in_lane[file_edit.number] = file_edit
            self.lane.deliver(file_edit.delivery(datetime.now(UTC)), self._source)

    def give_up(self) -> None:
        """Send no more; what is in flight is settled still."""
        self.given_up = True
        self.lane.drain()

    def is_unsure(self, file_edit: FileEdit) -> bool:
        """Whether an edit that was not settled has been sent; asked of each in order."""
        if file_edit.job not in self._noted.called:
            return False
        self._noted.called.discard(file_edit.job)
        return True

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it."""
        if self.given_up:
            return self.lane.is_quiet
        return not self._to_come and not self._in_lane

    def left(self) -> list[FileEdit]:
        """What was not settled, in order."""
        return [*self._in_lane.values(), *self._to_come]

    def _settled(self, tag: int) -> None:
        file_edit = self._in_lane.pop(tag)
        if file_edit.job is not None:
            self._noted.called.discard(file_edit.job)
        self.fill()
        self._acked()


class Unaddressed:
    """Settles what is for no account: it cannot be read, or its appId is nobody's."""

    def __init__(
        self, loop: Loop, outcomes: Completion, bounds: Bounds, acked: Callable[[], None]
    ) -> None:
        self.waiting = 0
        self._loop = loop
        self._outcomes = outcomes
        self._bounds = bounds
        self._acked = acked
        self._source = Stack(self._settled)

    def add(self, file_edit: FileEdit) -> None:
        """Reject an edit."""
        delivery = file_edit.delivery(datetime.now(UTC))
        found = decode(delivery, None, self._bounds)
        verdict = found.verdict if isinstance(found, Undecodable) else _nobodys(file_edit.app_id)
        self.waiting += 1
        settle = self._outcomes.settle
        self._loop.spawn(settle(delivery, self._source, found.head, verdict, attempts=0))

    def _settled(self, _: int) -> None:
        self.waiting -= 1
        self._acked()


def _nobodys(app_id: str | None) -> Rejected:
    detail = f"no account of the settings has the appId {(app_id or '')[:100]!r}"
    return Rejected(Reason.UNKNOWN_APP, detail)
