"""A lane taken over is worked on once nobody else can believe to hold it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from tests.unit.builders import NoSource, delivery
from tests.unit.fakes import FakeLoop
from worker.pipeline.takeover import QueueService

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from worker.core.message import Delivery, Source

TERM = 1.0


class FakeJournal:
    """Read at once; notes when it was asked."""

    missing = None
    term = 7

    def __init__(self, loop: FakeLoop) -> None:
        self.read_at: list[float] = []
        self._loop = loop

    def read(self, done: Callable[[], None]) -> None:
        self.read_at.append(self._loop.now())
        done()


class FakeDesk:
    """Notes what it was told."""

    is_open = False
    is_quiet = True

    def __init__(self) -> None:
        self.delivered = 0

    def deliver(self, _: Delivery, __: Source) -> None:
        self.delivered += 1

    def open(self, taken: Iterable[float] | None = None, term: int | None = None) -> None:
        del taken, term
        self.is_open = True

    def lost(self) -> None:
        self.is_open = False

    def drain(self) -> None: ...
    def pump(self) -> None: ...
    def tick(self) -> None: ...


def service() -> tuple[FakeLoop, FakeJournal, FakeDesk, QueueService]:
    loop, desk = FakeLoop(), FakeDesk()
    journal = FakeJournal(loop)
    made = QueueService(
        cast("Any", loop),
        cast("Any", journal),
        desk,
        "lane",
        (),
        passive=False,
        when_sent=lambda callback: callback(),
        lease_term=TERM,
    )
    return loop, journal, desk, made


def test_what_nobody_had_before_is_begun_at_once() -> None:
    loop, journal, desk, made = service()
    made.consumer._deliver(delivery(), NoSource())  # noqa: SLF001
    loop.run(0.01)
    assert desk.is_open
    assert len(journal.read_at) == 1


def test_what_somebody_had_before_waits_for_the_end_of_their_lease_and_the_journal_too() -> None:
    loop, journal, desk, made = service()
    begun = loop.now()
    for _ in range(3):
        made.consumer._deliver(delivery(redelivered=True), NoSource())  # noqa: SLF001
    loop.run(TERM / 2)
    assert (desk.is_open, made.is_active) == (False, True)
    loop.run(TERM)
    assert (desk.is_open, made.is_active) == (True, True)
    assert [at - begun >= TERM for at in journal.read_at] == [True]
    assert desk.delivered == 3


def test_a_lane_lost_while_waiting_is_not_begun() -> None:
    loop, journal, desk, made = service()
    made.consumer._deliver(delivery(redelivered=True), NoSource())  # noqa: SLF001
    made.consumer._lost()  # noqa: SLF001
    loop.run(2 * TERM)
    assert not desk.is_open
    assert not journal.read_at
