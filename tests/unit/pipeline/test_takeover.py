"""A lane taken over is worked on once nobody else can believe to hold it."""

from __future__ import annotations

from asyncio import sleep
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.unit.builders import NoSource, delivery
from tests.unit.fakes import FakeLoop, Takers
from worker.pipeline.takeover import QueueService

if TYPE_CHECKING:
    from asyncio import Task
    from collections.abc import AsyncIterator, Iterable

    from worker.core.message import Delivery, Source

TERM = 1.0
BETWEEN = 0.1


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
    is_empty = True

    def __init__(self) -> None:
        self.delivered = 0
        self.opened = 0

    def deliver(self, _: Delivery, __: Source) -> None:
        assert self.is_open
        self.delivered += 1

    def open(self, taken: Iterable[float] | None = None, term: int | None = None) -> None:
        del taken, term
        self.is_open = True
        self.opened += 1

    def lost(self) -> None:
        self.is_open = False

    def drain(self) -> None: ...
    def pump(self) -> None: ...
    def tick(self) -> None: ...


class Given(NoSource):
    """A subscription with some deliveries, one a second, and then none for ever."""

    def __init__(self, loop: FakeLoop, *deliveries: Delivery) -> None:
        super().__init__()
        self._loop = loop
        self._deliveries = deliveries

    async def __aiter__(self) -> AsyncIterator[Delivery]:
        for each in self._deliveries:
            yield each
            await sleep(BETWEEN)
        await self._loop.future()


def served(
    *deliveries: Delivery, takers: Takers | None = None
) -> tuple[FakeLoop, FakeJournal, FakeDesk, Task[None]]:
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
        takings=takers or Takers(),
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
    loop.run(TERM + 3 * BETWEEN)
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


def test_a_queue_that_another_took_meanwhile_is_taken_over_anew_with_its_next_delivery() -> None:
    """From RabbitMQ 4.0 on it goes and comes back without a word on the channel."""
    takers = Takers()
    loop, journal, desk, _ = served(delivery(), delivery(redelivered=True), takers=takers)
    loop.run(BETWEEN / 2)
    takers.another = True
    loop.run(BETWEEN + TERM / 2)
    waits = desk.delivered
    loop.run(TERM)

    assert (waits, desk.delivered) == (1, 2)  # whoever had it may have died: their lease ends first
    assert (desk.opened, len(journal.read_at), takers.taken) == (2, 2, ["lane", "lane"])


@pytest.mark.parametrize("holds", [True, False])
def test_while_something_is_held_nobody_else_can_have_had_the_queue(*, holds: bool) -> None:
    takers = Takers(deaf=True)
    loop, _, desk, _ = served(delivery(), delivery(), takers=takers)
    desk.is_empty = not holds
    loop.run(3 * BETWEEN)

    assert desk.opened == (1 if holds else 2)
    assert desk.delivered == 2
