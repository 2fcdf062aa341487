"""A queue taken over: first the lease and the journal, then each delivery goes to its handler."""

from __future__ import annotations

from asyncio import TaskGroup, sleep
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import structlog

from worker.amqp.consumer import Consumer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from schemas import ControlEntry
    from worker.amqp.journal import Journal
    from worker.amqp.subscription import Subscription
    from worker.amqp.topology import Object
    from worker.core.message import Delivery, Source
    from worker.loop import Loop


log = structlog.get_logger()


class DeliveryHandler(Protocol):
    """Who works on a queue's deliveries: a lane, or the strays."""

    is_open: bool

    @property
    def is_quiet(self) -> bool:
        """Nothing is in flight and nothing unconfirmed."""

    @property
    def is_empty(self) -> bool:
        """Nothing that was delivered is held: all is settled."""

    def deliver(self, delivery: Delivery, source: Source) -> None:
        """Take a delivery."""

    def open(self, taken: Iterable[float] | None = None, term: int | None = None) -> None:
        """Begin: what was settled before is known."""

    def lost(self) -> None:
        """The channel is gone and what was unacked is back in the queue."""

    def drain(self) -> None:
        """Begin nothing more."""

    def pump(self) -> None:
        """Begin what may begin by now."""

    def tick(self) -> None:
        """Look at the clock."""


@runtime_checkable
class Pausable(Protocol):
    """A handler that an operator can pause."""

    def pause(self, entry: ControlEntry | None) -> bool:
        """Begin nothing more and give back, or go on; whether there is anything to give back."""


class Takings(Protocol):
    """What the replicas tell each other of the queues that they take over."""

    def is_anothers(self, queue: str) -> bool:
        """Whether another has taken a queue over since this one did."""

    def may_be_anothers(self, queue: str) -> bool:
        """The same, or it cannot be told at the moment."""

    async def caught_up(self, taking: str = "") -> None:
        """Tell the others, and return once what operators want is known."""


class QueueService:
    """Joins a handler to its queue. A first delivery means that the queue is ours to work on.

    If it was delivered before, to somebody else, who may not know yet that it is no longer theirs:
    their lease has to end first. Only then is the journal read, which tells what they did.

    From RabbitMQ 4.0 on a queue goes to a replica of higher priority as soon as everything
    delivered is settled, and may come back, without a word on our channel. So once nothing is held,
    a delivery is a first one again if another has taken the queue over meanwhile.
    """

    def __init__(  # noqa: PLR0913 (the two ends, and what lies between them)
        self,
        loop: Loop,
        journal: Journal,
        handler: DeliveryHandler,
        queue: str,
        objects: tuple[Object, ...],
        *,
        passive: bool,
        when_sent: Callable[[Callable[[], None]], None],
        lease_term: float,
        takings: Takings,
        taken: Callable[[], list[float] | None] = lambda: None,
        priority: int = 0,
    ) -> None:
        """`priority` of this replica for the queue.

        `taken` tells when calls were made before, once the journal has been read. `lease_term`:
        for how many seconds a former holder may believe in its lease.
        """
        self.handler = handler
        self._pausable = handler if isinstance(handler, Pausable) else None
        self.consumer = Consumer(
            loop,
            queue,
            objects,
            passive=passive,
            work=self._work,
            when_sent=when_sent,
            priority=priority,
        )
        self.priority = priority
        self._journal = journal
        self._lease_term = lease_term
        self._takings = takings
        self._taken = taken
        self._is_taking_over = False

    @property
    def is_active(self) -> bool:
        """Whether deliveries come to us, and not to another replica."""
        if self._is_taking_over or not self.handler.is_open:
            return self._is_taking_over
        return not (self._takings.is_anothers(self.consumer.queue) and self.handler.is_empty)

    @property
    def has_unread(self) -> bool:
        """Whether there are deliveries that the handler has not seen yet."""
        return self._is_taking_over or self.consumer.has_unread

    def pause(self, entry: ControlEntry | None) -> None:
        """Consume no more, once what is in flight is settled; or, with None, consume again."""
        if self._pausable is None:
            return
        holds = self._pausable.pause(entry)
        if entry is not None:
            self.consumer.hold(give_back=not holds)
        else:
            self.consumer.release()

    def tick(self) -> None:
        """Look at the clock, about once a second."""
        if self.handler.is_open and not self.is_active:
            log.info("lane_given_way", queue=self.consumer.queue)
            self.handler.is_open = False
        self.handler.tick()

    async def _work(self, deliveries: Subscription) -> None:
        """Take the queue over with its first delivery, then hand on each; until cancelled."""
        try:
            async for delivery in deliveries:
                if not self.handler.is_open or (
                    self.handler.is_empty and self._takings.may_be_anothers(self.consumer.queue)
                ):
                    await self._take_over(was_anothers=delivery.redelivered)
                self.handler.deliver(delivery, deliveries)
        finally:
            self.handler.lost()

    async def _take_over(self, *, was_anothers: bool) -> None:
        """Learn what was settled before, and what operators want: side by side."""
        self._is_taking_over = True
        try:
            async with TaskGroup() as tasks:
                tasks.create_task(self._takings.caught_up(self.consumer.queue))
                if was_anothers:
                    await sleep(self._lease_term)
                await self._journal.read()
        finally:
            self._is_taking_over = False
        missing = self._journal.missing is not None
        self.handler.open(self._taken(), None if missing else self._journal.term)
