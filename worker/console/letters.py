"""The dead letters kept true: one look when they are first needed, then by what is heard."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import structlog

from worker.amqp.session import FailureKind, SessionError, connected
from worker.console.letter_index import Kept
from worker.console.model import LettersState, RefusedError, UnavailableError, fault
from worker.deadletters.queue import locked

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator

    from worker.amqp.session import Broker
    from worker.console.changes import Changes
    from worker.console.letter_index import LetterIndex
    from worker.console.live import Live
    from worker.console.operation_log import OperationLog
    from worker.core.message import Delivery
    from worker.deadletters.queue import DeadLetterQueue

log = structlog.get_logger()

DOING: Final = "taskedit console: a look"
LOOK_EVERY: Final = 60.0
"""Seconds between two looks at least, for counts that disagree."""
DISAGREE_FOR: Final = 10.0
"""Seconds after which a count that disagrees is believed."""
TICK: Final = 0.5
AGAIN_AFTER: Final = 2.0
"""Seconds after which a look that could not be had is tried again."""
TOGETHER: Final = 500
"""Letters that are read at once: others have their turn between."""


@dataclass(slots=True)
class _Disagreement:
    """RabbitMQ counts other letters than are known."""

    since: float
    flow: int
    """How much had come and gone by then: so much may be on its way."""


@dataclass(slots=True)
class Letters:
    """Looks at the queue when it must, and says how well the letters are known."""

    broker: Broker
    index: LetterIndex
    live: Live
    operations: OperationLog
    changes: Changes
    looked_at: datetime | None = None
    looks: int = 0
    """How often the queue has been looked at."""
    _why: str | None = None
    _busy_by: str | None = None
    _is_needed: bool = False
    _is_needed_again: bool = False
    _since: datetime | None = None
    """When the newest began that a look after it was, or is, needed for."""
    _watchers: int = 0
    _looked: float = 0.0
    _seen: int = 0
    _queue: DeadLetterQueue | None = None
    """Of a look under way."""
    _disagreement: _Disagreement | None = None
    _one: asyncio.Lock = field(default_factory=asyncio.Lock)

    def need(self, since: datetime | None = None) -> None:
        """Somebody wants to see them: from now on they are known.

        What began at `since` (aware) is told of by a look after that; for each moment there is one
        at most, for whoever wrote it down may have had a wrong clock.
        """
        self._is_needed = True
        if since is None or self.looked_at is None or (self._since and since <= self._since):
            return
        self._since, self._is_needed_again = since, self.looked_at < since

    @contextmanager
    def watched(self) -> Iterator[None]:
        """While somebody looks: what disagrees with RabbitMQ's count is looked at again."""
        self._watchers += 1
        try:
            yield
        finally:
            self._watchers -= 1

    def state(self) -> LettersState:
        """How well they are known."""
        is_looking = self._one.locked()
        is_busy = self._busy_by is None and self.operations.is_locked and not is_looking
        is_held = self.looked_at is not None and (is_looking or self.live.is_held)
        known, counted = self.index.total, self.live.depths.get(self.broker.names.dead)
        return LettersState(
            looked_at=self.looked_at,
            is_looking=is_looking,
            seen=self._seen if is_looking else 0,
            expected=self._queue.total if is_looking and self._queue else 0,
            total=known if is_held else counted,
            known=known,
            looks=self.looks,
            busy_by=self._busy_by,
            operation=self.operations.at_the_letters() if is_busy else None,
            why=self._why,
        )

    def by_account(self) -> dict[str, int] | None:
        """How many each account has; None before they are known."""
        return None if self.looked_at is None else self.index.by_account()

    async def run(self) -> None:
        """Keep them true until cancelled, whatever becomes of one look."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(TICK)
            if not self._is_needed or not self.live.state.is_up:
                continue
            is_due = self.looked_at is None or self._is_needed_again
            if is_due or (self._watchers and self._must_look(loop.time())):
                try:
                    with suppress(UnavailableError, RefusedError):
                        await self.look()
                except Exception as error:
                    log.exception("console_look_failed")
                    self._why = fault(error)
                    self.changes.touch("dead", "fleet")
                if self._why is not None:
                    await asyncio.sleep(AGAIN_AFTER)

    async def known(self) -> None:
        """Wait for the first look; raises what keeps it from being had."""
        self.need()
        if self.looked_at is None:
            await self.look()

    async def look(self) -> None:
        """Look at the whole queue; raises as `fetch` does."""
        async for _ in self.fetch(frozenset()):
            pass

    async def fetch(self, wanted: frozenset[str]) -> AsyncGenerator[Kept]:
        """Look at the whole queue; the letters whose keys are `wanted`, each as it is seen.

        None is held here: all of a large plan may be more than there is memory for. Raises
        `RefusedError` (busy) while somebody else is at the letters, and `UnavailableError`.
        """
        async with self._one:
            has_cause = self._disagreement is not None or self._is_needed_again
            if not wanted and self.looked_at is not None and not has_cause:
                return  # whoever looked meanwhile has seen what led here
            self.changes.touch("dead")
            try:
                async with aclosing(self._look(wanted)) as found:
                    async for kept in found:
                        yield kept
            except SessionError as error:
                self._why = error.failure.why
                if error.failure.kind is FailureKind.BUSY:
                    self._busy_by = holder(error)
                    raise RefusedError("busy", by=self._busy_by) from None
                raise UnavailableError(error.failure.why) from None
            finally:
                self.changes.touch("dead", "fleet")
            self._why = self._busy_by = self._disagreement = None
            self._looked = asyncio.get_running_loop().time()

    async def _look(self, wanted: frozenset[str]) -> AsyncGenerator[Kept]:
        self._seen, self._queue, index, left = 0, None, self.index, set(wanted)
        async with (
            connected(self.broker, asyncio.Event()) as session,
            locked(session, DOING) as queue,
        ):
            self._queue = queue
            index.begin_look()
            complete = False
            try:
                async for deliveries in _together(queue.take()):
                    self._seen += len(deliveries)
                    for (key, letter), delivery in zip(
                        index.see(deliveries), deliveries, strict=True
                    ):
                        if key in left:
                            left.remove(key)  # of copies one is enough
                            yield Kept(index.rows((key,))[0], letter, delivery)
                    self.changes.touch("dead")
                complete = not queue.missing
            finally:
                index.end_look(complete=complete)
                self._queue = None
            self.operations.looked_at = self.looked_at = datetime.now(UTC)
            self._is_needed_again = False  # before they are given back: it may be needed meanwhile
            self.looks += 1
            self.changes.touch("dead", "fleet")  # known by now; to give them back takes a while

    def _must_look(self, now: float) -> bool:
        """Whether RabbitMQ has disagreed for long enough while nobody was at the letters."""
        ready = self.live.depths.get(self.broker.names.dead)
        known = self._disagreement or _Disagreement(now, self.live.flow)
        on_its_way = self.live.flow - known.flow
        agrees = ready is None or abs(ready - self.index.total) <= on_its_way
        self._disagreement = None if agrees or self.operations.is_locked else known
        self.live.asks_for_lock = not agrees
        is_sure = now - known.since >= DISAGREE_FOR and self.operations.is_locked is False
        return self._disagreement is not None and is_sure and now - self._looked >= LOOK_EVERY


async def _together(taken: AsyncIterator[tuple[Delivery, object]]) -> AsyncIterator[list[Delivery]]:
    """What is taken, `TOGETHER` at a time."""
    found: list[Delivery] = []
    async for delivery, _ in taken:
        found.append(delivery)
        if len(found) == TOGETHER:
            yield found
            found = []
            await asyncio.sleep(0)
    yield found


def holder(error: SessionError) -> str:
    """Who is at the letters, of a failure that says so."""
    who = error.failure.why.removeprefix("at the letters already: ")
    return who.partition(". Try again")[0]
