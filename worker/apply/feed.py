"""The edits of one account, handed to its lane as it has room for them."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from schemas import Reason
from worker.core.decode import Unfit, decode
from worker.core.verdict import Rejected

if TYPE_CHECKING:
    from collections.abc import Callable

    from schemas import Bounds
    from worker.apply.noted import Noted
    from worker.apply.sheet import Sheet
    from worker.lane import Lane
    from worker.outcome import Outcomes

WINDOW = 200
"""Edits in a lane at once, as many as RabbitMQ would hand out."""


class Stack:
    """A `Source` whose deliveries are lines of files: acked ones are done with."""

    def __init__(self, acked: Callable[[int], None]) -> None:
        self.alive = True
        self._acked = acked

    def ack(self, tag: int, written: Callable[[], None]) -> None:
        """The edit is settled."""
        self._acked(tag)
        written()

    def give_back(self) -> None:
        """Nothing else wants a file's edits: they stay where they are."""


class Feed:
    """Keeps a lane supplied; what is left in the end was not sent."""

    def __init__(self, lane: Lane, noted: Noted, acked: Callable[[], None]) -> None:
        """`noted`: the lane's caller."""
        self.lane = lane
        self._noted = noted
        self.given_up = False
        self._acked = acked
        self._source = Stack(self._settled)
        self._to_come: deque[Sheet] = deque()
        self._in_lane: dict[int, Sheet] = {}

    def add(self, sheet: Sheet) -> None:
        """Queue an edit."""
        self._to_come.append(sheet)

    def fill(self) -> None:
        """Hand over as many as there is room for."""
        while self._to_come and len(self._in_lane) < WINDOW and not self.given_up:
            sheet = self._to_come.popleft()
            self._in_lane[sheet.number] = sheet
            self.lane.deliver(sheet.delivery(datetime.now(UTC)), self._source)

    def give_up(self) -> None:
        """Send no more; what is in flight is settled still."""
        self.given_up = True
        self.lane.drain()

    def is_unsure(self, sheet: Sheet) -> bool:
        """Whether an edit that was not settled has been sent; asked of each in order."""
        if sheet.job not in self._noted.called:
            return False
        self._noted.called.discard(sheet.job)
        return True

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it."""
        if self.given_up:
            return self.lane.is_quiet
        return not self._to_come and not self._in_lane

    def left(self) -> list[Sheet]:
        """What was not settled, in order."""
        return [*self._in_lane.values(), *self._to_come]

    def _settled(self, tag: int) -> None:
        sheet = self._in_lane.pop(tag)
        if sheet.job is not None:
            self._noted.called.discard(sheet.job)
        self.fill()
        self._acked()


class Unaddressed:
    """Settles what is for no account: it cannot be read, or its appId is nobody's."""

    def __init__(self, outcomes: Outcomes, bounds: Bounds, acked: Callable[[], None]) -> None:
        self.waiting = 0
        self._outcomes = outcomes
        self._bounds = bounds
        self._acked = acked
        self._source = Stack(self._settled)

    def add(self, sheet: Sheet) -> None:
        """Reject an edit."""
        delivery = sheet.delivery(datetime.now(UTC))
        found = decode(delivery, None, self._bounds)
        verdict = found.verdict if isinstance(found, Unfit) else _nobodys(sheet.app_id)
        self.waiting += 1
        self._outcomes.settle(
            delivery, self._source, found.head, verdict, attempts=0, done=_nothing
        )

    def _settled(self, _: int) -> None:
        self.waiting -= 1
        self._acked()


def _nobodys(app_id: str | None) -> Rejected:
    detail = f"no account of the settings has the appId {(app_id or '')[:100]!r}"
    return Rejected(Reason.UNKNOWN_APP, detail)


def _nothing() -> None:
    """Do nothing more."""
