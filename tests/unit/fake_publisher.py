"""A broker that confirms what is published: at once, later, in any order, or never."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from worker.core.message import ConfirmResult

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Callable

    from worker.core.message import Publication
    from worker.loop import Loop


@dataclass(slots=True, eq=False)
class Pending:
    """A publication that waits for its confirm, or for a connection."""

    publication: Publication
    wanted: Callable[[], bool]
    told: Future[ConfirmResult]
    arrived: bool = False
    """The broker has it, whatever it will say."""

    def tell(self, said: ConfirmResult) -> None:
        if not self.told.done():
            self.told.set_result(said)


@dataclass(slots=True)
class FakePublisher:
    """A `Publisher`, and the broker behind it; confirms when told to, or at once if `prompt`."""

    loop: Loop
    prompt: bool = True
    is_open: bool = True
    outstanding: list[Pending] = field(default_factory=list)
    backlog: deque[Pending] = field(default_factory=deque)
    sent: list[Publication] = field(default_factory=list)
    """Everything written to the connection, in order."""
    received: list[Publication] = field(default_factory=list)
    """What the broker has for good."""
    fate: Callable[[Publication], ConfirmResult] = lambda _: ConfirmResult.CONFIRMED
    """What the broker says of a publication, if `prompt`."""

    def publish(
        self, publication: Publication, wanted: Callable[[], bool]
    ) -> Future[ConfirmResult]:
        told: Future[ConfirmResult] = self.loop.future()
        self.backlog.append(Pending(publication, wanted, told))
        self.flush()
        return told

    def flush(self) -> None:
        while self.is_open and self.backlog:
            pending = self.backlog.popleft()
            if not pending.wanted():
                pending.tell(ConfirmResult.UNWANTED)
                continue
            self.sent.append(pending.publication)
            self.outstanding.append(pending)
            if self.prompt:
                self.settle(pending, self.fate(pending.publication))

    def settle(self, pending: Pending, fate: ConfirmResult) -> None:
        """The broker's word on a publication."""
        self.outstanding.remove(pending)
        if fate is ConfirmResult.CONFIRMED:
            self._arrive(pending)
        pending.tell(fate)

    def arrive(self) -> None:
        """What was written so far has reached the broker: a later one of ours has been read."""
        for pending in self.outstanding:
            self._arrive(pending)

    def _arrive(self, pending: Pending) -> None:
        if not pending.arrived:
            pending.arrived = True
            self.received.append(pending.publication)

    def lose(self, *, received: bool) -> None:
        """The connection is gone; what was not confirmed the broker has `received`, or not."""
        self.is_open = False
        if received:
            self.arrive()
        for pending in self.outstanding:
            pending.arrived = False
        self.backlog.extendleft(reversed(self.outstanding))
        self.outstanding.clear()

    def drop_unwanted(self) -> None:
        """As the real one, when the connection that consumes is gone."""
        waiting, self.backlog = self.backlog, deque()
        for pending in waiting:
            if pending.wanted():
                self.backlog.append(pending)
            else:
                pending.tell(ConfirmResult.UNWANTED)

    def reopen(self) -> None:
        """There is a connection again."""
        self.is_open = True
        self.flush()


@dataclass(slots=True)
class FakeReplies:
    """Remembers what was published to `reply_to`."""

    published: list[Publication] = field(default_factory=list)

    def publish(self, publication: Publication) -> None:
        self.published.append(publication)
