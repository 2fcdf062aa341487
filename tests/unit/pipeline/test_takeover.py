"""A lane taken over is worked on once nobody else can believe to hold it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from tests.unit.builders import NoSource, delivery
from tests.unit.fakes import FakeLoop
from worker.pipeline.takeover import QueueService

if TYPE_CHECKING:
    from asyncio import Task
    from collections.abc import AsyncIterator, Iterable

    from worker.core.message import Delivery, Source

TERM = 1.0


class FakeJournal:
    """Read at once; notes when it was asked."""

    missing = None
    term = 7

    def __init__(self, loop: FakeLoop) -> None:
        self.read_at: list[float] = []
        self._loop = loop

    async def read(self) -> None:
        self.read_at.append(self._loop.now())


class FakeDesk:
    """Notes what it was told."""

    is_open = False
    is_quiet = True

    def __init__(self) -> None:
        self.delivered = 0

    def deliver(self, _: Delivery, __: Source) -> None:
        assert self.is_open
        self.delivered += 1

    def open(self, taken: Iterable[float] | None = None, term: int | None = None) -> None:
        del taken, term
        self.is_open = True

    def lost(self) -> None:
        self.is_open = False

    async def nothing_wanted(self) -> None: ...
    def drain(self) -> None: ...
    def pump(self) -> None: ...
    def tick(self) -> None: ...


class Given(NoSource):
    """A subscription with some deliveries, and then none for ever."""

    def __init__(self, loop: FakeLoop, *deliveries: Delivery) -> None:
        super().__init__()
        self._loop = loop
        self._deliveries = deliveries

    async def __aiter__(self) -> AsyncIterator[Delivery]:
        for each in self._deliveries:
            yield each
        await self._loop.future()


def served(*deliveries: Delivery) -> tuple[FakeLoop, FakeJournal, FakeDesk, Task[None]]:
    """A desk whose queue has given these."""
    loop, desk = FakeLoop(), FakeDesk()
    journal = FakeJournal(loop)
    service = QueueService(
        loop,
        cast("Any", journal),
        desk,
        "lane",
        (),
        passive=False,
        when_sent=lambda callback: callback(),
        lease_term=TERM,
        caught_up=desk.nothing_wanted,
    )
    work = loop.task(service._work(cast("Any", Given(loop, *deliveries))))  # noqa: SLF001
    return loop, journal, desk, work


def test_what_nobody_had_before_is_begun_at_once() -> None:
    loop, journal, desk, _ = served(delivery())
    loop.run(0.01)
    assert desk.is_open
    assert len(journal.read_at) == 1


def test_what_somebody_had_before_waits_for_the_end_of_their_lease_and_the_journal_too() -> None:
    loop, journal, desk, _ = served(*[delivery(redelivered=True)] * 3)
    begun = loop.now()
    loop.run(TERM / 2)
    open_early = desk.is_open
    loop.run(TERM)
    assert (open_early, desk.is_open) == (False, True)
    assert [at - begun >= TERM for at in journal.read_at] == [True]
    assert desk.delivered == 3


def test_a_lane_lost_while_waiting_is_not_begun() -> None:
    loop, journal, desk, work = served(delivery(redelivered=True))
    loop.run(TERM / 2)
    work.cancel()
    loop.run(2 * TERM)
    assert not desk.is_open
    assert not journal.read_at
