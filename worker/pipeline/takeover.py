"""A queue in service: consumed, its past recalled, and its deliveries handed to whoever works."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from worker.amqp.consumer import Consumer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from schemas import ControlEntry
    from worker.amqp.journal import Journal
    from worker.amqp.loop import PikaLoop
    from worker.amqp.topology import Object
    from worker.core.message import Delivery, Source


class DeliveryHandler(Protocol):
    """Who works on a queue's deliveries: a lane, or the strays."""

    is_open: bool

    @property
    def is_quiet(self) -> bool:
        """Nothing is in flight and nothing unconfirmed."""

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
    """A desk that an operator can stop."""

    def pause(self, entry: ControlEntry | None) -> bool:
        """Begin nothing more and give back, or go on; whether there is anything to give back."""


class QueueService:
    """Joins a desk to its queue. A first delivery means that the queue is ours to work on.

    If it was delivered before, to somebody else, who may not know yet that it is no longer theirs:
    their lease has to end first. Only then is the journal read, which tells what they did.
    """

    def __init__(  # noqa: PLR0913 (the two ends, and what lies between them)
        self,
        loop: PikaLoop,
        journal: Journal,
        desk: DeliveryHandler,
        queue: str,
        objects: tuple[Object, ...],
        *,
        passive: bool,
        when_sent: Callable[[Callable[[], None]], None],
        lease_term: float,
        taken: Callable[[], list[float] | None] = lambda: None,
        caught_up: Callable[[Callable[[], None]], None] = lambda done: done(),
    ) -> None:
        """`caught_up` calls back once what operators want is known.

        `taken` tells when calls were made before, once the journal has been read. `lease_term`:
        for how many seconds a former holder may believe in its lease.
        """
        self.desk = desk
        self.consumer = Consumer(
            loop,
            queue,
            objects,
            passive=passive,
            deliver=self._deliver,
            lost=self._lost,
            when_sent=when_sent,
        )
        self._loop = loop
        self._journal = journal
        self._lease_term = lease_term
        self._taken = taken
        self._recalling: object | None = None
        self._caught_up = caught_up

    @property
    def is_active(self) -> bool:
        """Whether deliveries come to us, and not to another replica."""
        return self.desk.is_open or self._recalling is not None

    def pause(self, entry: ControlEntry | None) -> None:
        """Consume no more, once what is in flight is settled; or, with None, consume again."""
        if not isinstance(self.desk, Pausable):
            return
        holds = self.desk.pause(entry)
        if entry is not None:
            self.consumer.hold(give_back=not holds)
        else:
            self.consumer.release()

    def _deliver(self, delivery: Delivery, source: Source) -> None:
        self.desk.deliver(delivery, source)
        if not self.desk.is_open and self._recalling is None:
            recalling = self._recalling = object()
            wait = self._lease_term if delivery.redelivered else 0.0
            missing = 2  # the journal, and what operators want: asked for side by side

            def known() -> None:
                nonlocal missing
                missing -= 1
                if not missing:
                    self._opened(recalling)

            self._caught_up(known)
            self._loop.call_later(wait, lambda: self._recall(recalling, known))

    def _recall(self, recalling: object, known: Callable[[], None]) -> None:
        if recalling is self._recalling:
            self._journal.read(known)

    def _opened(self, recalling: object) -> None:
        if recalling is self._recalling:
            self._recalling = None
            missing = self._journal.missing is not None
            self.desk.open(self._taken(), None if missing else self._journal.term)

    def _lost(self) -> None:
        self._recalling = None
        self.desk.lost()
