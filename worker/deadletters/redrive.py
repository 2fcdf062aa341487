"""Some letters in hand, while the rest of the queue is held behind them.

A redrive's rounds: as many letters as may be held at once, for as long as they may be held.

Dead letters sent again, each settled once: published, confirmed, and then taken out.

Whatever kills the command, a letter is still in the queue or already in its lane; it may be in
both, and then the copy in the queue is sent again as a repeat of the other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from math import inf
from typing import TYPE_CHECKING

from worker.amqp.dead_letters import WholeQueue
from worker.amqp.listening import listen
from worker.amqp.publisher import ConfirmedPublisher
from worker.core.message import ConfirmResult
from worker.core.rate_limit import Pacer
from worker.deadletters.browse import lock
from worker.deadletters.canary import Canary, RedriveProgress
from worker.deadletters.letter import read, to_publication
from worker.deadletters.plan import first_within
from worker.deadletters.visit import Errand, VisitFailure, VisitFailureKind
from worker.pipeline.lane import ACK_SETTLES_IN

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence

    from pika.connection import Connection  # noqa: TID251 (its type, never pika itself)

    from worker.amqp.dead_letters import DeliveryBatch
    from worker.core.message import Delivery
    from worker.deadletters.canary import RedriveOptions
    from worker.deadletters.letter import Letter, Resubmission
    from worker.deadletters.plan import RedriveAction
    from worker.deadletters.visit import Broker
    from worker.loop import Loop


@dataclass(slots=True)
class HeldLetter:
    """A letter in hand. More than one place means copies of it, which end together."""

    letter: Letter
    delivery: Delivery
    places: list[tuple[DeliveryBatch, int]] = field(default_factory=list)

    @property
    def alive(self) -> bool:
        """Whether it is ours still to settle."""
        return all(window.alive for window, _ in self.places)

    def ack(self) -> None:
        """Take it out of the queue for good."""
        for window, tag in self.places:
            window.ack(tag)


class Batch:
    """Takes the whole queue, and keeps the bodies of the letters that are to be worked on."""

    def __init__(self, loop: Loop, queue: WholeQueue) -> None:
        self._loop = loop
        self._queue = queue
        self._held: dict[bytes, HeldLetter] = {}

    def take(self, keys: Container[bytes], taken: Callable[[], None]) -> None:
        """Have the letters with these keys in hand; then call `taken`."""
        place = 0

        def see(delivery: Delivery, window: DeliveryBatch) -> None:
            nonlocal place
            place += 1
            letter = read(delivery, place)
            if letter.key in keys:
                held = self._held.setdefault(letter.key, HeldLetter(letter, delivery))
                held.places.append((window, delivery.tag))

        self._held = {}
        self._queue.take(see, taken, to_settle=True)

    def pick(self, key: bytes) -> HeldLetter | None:
        """The letter with that key, once; None if it was not in the queue."""
        return self._held.pop(key, None)

    def give_back(self, done: Callable[[], None]) -> None:
        """Return all that was not acked, in order, once the acks are sure to be taken."""
        self._held = {}
        self._loop.call_later(ACK_SETTLES_IN, lambda: self._queue.give_back(done))


HELD_BYTES = 64 * 1024 * 1024
"""Bodies kept in memory at once, about."""


class Batches:
    """Takes the queue, gives it back, and takes it anew; everything on the loop's thread."""

    def __init__(
        self, loop: Loop, queue: WholeQueue, moves: Sequence[RedriveAction], hold: float
    ) -> None:
        """`hold`: seconds that a round may take."""
        self.is_open = False
        """The letters of this round are in hand."""
        self.is_leaving = False
        """They are on their way back."""
        self._loop = loop
        self._moves = moves
        self._hold = hold
        self._hand = Batch(loop, queue)
        self._end = 0
        self._until = 0.0

    def begin(self, first: int, begun: Callable[[], None]) -> None:
        """Take the queue, with the bodies of the moves from number `first` on in hand."""

        def taken() -> None:
            self.is_open = True
            begun()

        rest = self._moves[first:]
        if not rest:  # outcomes may still be waited for, but nothing need be held for that
            self._end, self._until = len(self._moves) + 1, inf
            taken()
            return
        self._end = first + first_within(rest, HELD_BYTES)
        self._until = self._loop.now() + self._hold
        keys = frozenset(move.key for move in self._moves[first : self._end])
        self._hand.take(keys, taken)

    def has(self, number: int) -> bool:
        """Whether that move may be carried out in this round, now."""
        return self.is_open and number < min(self._end, len(self._moves)) and not self.is_late

    def is_over(self, number: int) -> bool:
        """Whether that move, and all before it, belong to a later round."""
        return number >= self._end or self.is_late

    @property
    def is_late(self) -> bool:
        """Whether the letters have been held for long enough."""
        return self._loop.now() >= self._until

    def pick(self, move: RedriveAction) -> HeldLetter | None:
        """The letter of a move, once; None if it was not in the queue."""
        return self._hand.pick(move.key)

    def leave(self, then: Callable[[], None]) -> None:
        """Give back what was not settled, in order; then call `then`."""

        def left() -> None:
            self.is_leaving = False
            then()

        self.is_open, self.is_leaving = False, True
        self._hand.give_back(left)


UNCONFIRMED_AT_MOST = 100
LOOK_EVERY = 0.1
CONFIRMS_WITHIN = 5.0
"""Seconds that the last confirms are given when it has been told to stop."""


class Redrive:
    """Carries out the moves of a plan, in order, in rounds of what may be held at once."""

    def __init__(
        self, broker: Broker, doing: str, moves: Sequence[RedriveAction], pace: RedriveOptions
    ) -> None:
        self.done = RedriveProgress()
        self._broker = broker
        self._doing = doing
        self._moves = moves
        self._pace = pace
        self._canary = Canary(pace.canary.of(len(moves))) if pace.canary else None
        self._next = 0
        self._rounds: Batches | None = None
        self._is_woken = False
        self._stopping_at: float | None = None
        self._look: Callable[[RedriveProgress], None] = lambda _: None
        self._errand = Errand(broker, self._begin, lambda: self._stop("stopped"))
        self._loop = self._errand.loop
        self._pacer = Pacer(pace.rates, now=self._loop.now(), taken=()) if pace.rates else None
        self._unsure = 0
        """Letters published and not confirmed yet."""
        self._publisher = ConfirmedPublisher(self._loop, changed=self._pump)

    def run(self, look: Callable[[RedriveProgress], None]) -> VisitFailure | None:
        """Carry it out; `look` is called now and then. `done` says how far it has come.

        What was not sent is back in the queue, in order.
        """
        self._look = look
        trouble = self._errand.run()
        self.done.unsure = self._unsure
        look(self.done)
        return trouble

    def _begin(self, connection: Connection) -> None:
        dead = self._broker.names.dead
        queue = WholeQueue(self._loop, connection, dead, failed=self._fail(VisitFailureKind.ABSENT))
        rounds = self._rounds = Batches(self._loop, queue, self._moves, self._pace.hold)
        self._loop.spawn(self._publisher.serve(connection))

        def ready() -> None:
            begin = partial(rounds.begin, 0, self._pump)
            lock(self._errand, connection, self._broker, self._doing, begin)

        def closed(_: object, error: Exception) -> None:
            if connection.is_open:
                self._fail(VisitFailureKind.FAILED)(f"events cannot be heard: {error}")

        if self._canary is None:
            ready()
        else:
            events = self._broker.names.events
            listen(connection, events, heard=self._heard, ready=ready, closed=closed)
        self._tick()

    def _fail(self, kind: VisitFailureKind) -> Callable[[str], None]:
        return lambda why: self._errand.end(VisitFailure(kind, why))

    # Letters go out

    def _pump(self) -> None:
        """Send what may be sent by now, then see whether something is over."""
        while self._may_send():
            move = self._moves[self._next]
            if move.redrives is not None and self._pacer is not None:
                now = self._loop.now()
                if (wait := self._pacer.wait(now)) > 0:
                    self._wake(wait)
                    return
                self._pacer.take(now)
            self._next += 1
            self._send(move)
        self._settle()

    def _may_send(self) -> bool:
        return (
            self._rounds is not None
            and self._rounds.has(self._next)
            and self._stopping_at is None
            and self._unsure < UNCONFIRMED_AT_MOST
            and self._publisher.is_open
            and self._errand.blocked is None
            and (self._canary is None or self._canary.has_room)
        )

    def _wake(self, wait: float) -> None:
        def wake() -> None:
            self._is_woken = False
            self._pump()

        if not self._is_woken:
            self._is_woken = True
            self._loop.call_later(wait, wake)

    def _send(self, move: RedriveAction) -> None:
        held = self._rounds.pick(move) if self._rounds else None
        if held is None:
            self.done.gone += 1
        elif move.redrives is None:
            held.ack()
            self.done.copies += 1
        else:
            message = to_publication(
                held.letter,
                held.delivery,
                self._broker.names,
                redrives=move.redrives,
                body=move.body,
                place=move.place,
            )
            self._publish(message, held)

    def _publish(self, message: Resubmission, held: HeldLetter) -> None:
        identity = message.identity
        if self._canary is not None:
            self._canary.begin(identity, self._loop.now())

        def sure(fate: ConfirmResult) -> None:
            self._unsure -= 1
            if fate is ConfirmResult.CONFIRMED:
                held.ack()
                self.done.sent += 1
            elif fate is not ConfirmResult.UNWANTED:
                self.done.unroutable += fate is ConfirmResult.UNROUTABLE
                self.done.refused += fate is ConfirmResult.REFUSED
            if self._canary is not None and (
                identity is None or fate is not ConfirmResult.CONFIRMED
            ):
                self._canary.fail(identity)
            self._pump()

        self._unsure += 1
        told = self._publisher.publish(message.publication, lambda: held.alive)
        told.add_done_callback(lambda said: sure(said.result()))

    # Outcomes come in

    def _heard(self, _: str | None, body: bytes) -> None:
        applied = self._canary.hear(body, self._loop.now()) if self._canary else None
        if applied is not None:
            self.done.applied += applied
            self.done.rejected += not applied
            self._pump()

    def _settle(self) -> None:
        """Go on to the next step or round when this one is over, or end."""
        rounds = self._rounds
        if rounds is None or not rounds.is_open or self._unsure:
            return
        all_sent = self._next >= len(self._moves)
        if self._stopping_at is not None or (self._canary is None and all_sent):
            rounds.leave(self._errand.end)
        elif self._canary is not None and self._canary.is_over(all_sent=all_sent):
            self._end_step(self._canary, rounds)
        elif rounds.is_over(self._next):
            rounds.leave(self._next_round)

    def _next_round(self) -> None:
        if self._stopping_at is not None:
            self._errand.end()
        elif self._rounds is not None:
            self._rounds.begin(self._next, self._pump)

    def _end_step(self, canary: Canary, rounds: Batches) -> None:
        left = len(self._moves) - self._next
        if canary.step.is_bad:
            self._stop(f"{canary.step.failed} of {canary.step.size} were not applied")
        elif left == 0:
            rounds.leave(self._errand.end)
        else:
            canary.go_on(left)
            self._loop.call_later(0, self._pump)

    def _stop(self, why: str) -> None:
        """Send no more; end when the last confirms are in."""
        if self._stopping_at is not None:
            return
        self._stopping_at = self._loop.now()
        self.done.stopped = why
        if self._rounds is None:
            self._errand.end()
        elif self._rounds.is_open:
            self._settle()
        elif not self._rounds.is_leaving:
            self._rounds.leave(self._errand.end)

    def _tick(self) -> None:
        now = self._loop.now()
        self._look(self.done)
        if self._stopping_at is not None and now - self._stopping_at > CONFIRMS_WITHIN:
            if self._rounds is not None and self._rounds.is_open:
                self._rounds.leave(self._errand.end)
        elif self._canary is not None and self._canary.is_overdue(now, self._pace.patience):
            missing = len(self._canary.awaited)
            self._stop(f"{missing} outcomes did not come: are the worker and its lane running?")
        self._pump()
        self._loop.call_later(LOOK_EVERY, self._tick)
