"""Dead letters sent again, each settled once: published, confirmed, and then taken out.

Whatever kills the command, a letter is still in the queue or already in its lane; it may be in
both, and then the copy in the queue is sent again as a repeat of the other.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from worker.amqp.letters import WholeQueue
from worker.amqp.listening import listen
from worker.amqp.publisher import ConfirmedPublisher
from worker.core.pacing import Pacer
from worker.letters.again import again
from worker.letters.canary import Canary
from worker.letters.done import Done
from worker.settler import Fate
from worker.visits.broker import Errand, Kind, Trouble
from worker.visits.look import lock
from worker.visits.rounds import Rounds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pika.connection import Connection  # noqa: TID251 (its type, never pika itself)

    from worker.letters.again import Again
    from worker.letters.done import Pace
    from worker.letters.plan import Move
    from worker.visits.broker import Broker
    from worker.visits.hand import Held

UNCONFIRMED_AT_MOST = 100
LOOK_EVERY = 0.1
CONFIRMS_WITHIN = 5.0
"""Seconds that the last confirms are given when it has been told to stop."""


class Redrive:
    """Carries out the moves of a plan, in order, in rounds of what may be held at once."""

    def __init__(self, broker: Broker, doing: str, moves: Sequence[Move], pace: Pace) -> None:
        self.done = Done()
        self._broker = broker
        self._doing = doing
        self._moves = moves
        self._pace = pace
        self._canary = Canary(pace.canary.of(len(moves))) if pace.canary else None
        self._next = 0
        self._rounds: Rounds | None = None
        self._is_woken = False
        self._stopping_at: float | None = None
        self._look: Callable[[Done], None] = lambda _: None
        self._errand = Errand(broker, self._begin, lambda: self._stop("stopped"))
        self._loop = self._errand.loop
        self._pacer = Pacer(pace.rates, now=self._loop.now(), taken=()) if pace.rates else None
        self._publisher = ConfirmedPublisher(self._loop, changed=self._pump)

    def run(self, look: Callable[[Done], None]) -> Trouble | None:
        """Carry it out; `look` is called now and then. `done` says how far it has come.

        What was not sent is back in the queue, in order.
        """
        self._look = look
        trouble = self._errand.run()
        self.done.unsure = self._publisher.outstanding
        look(self.done)
        return trouble

    def _begin(self, connection: Connection) -> None:
        dead = self._broker.names.dead
        queue = WholeQueue(self._loop, connection, dead, failed=self._fail(Kind.ABSENT))
        rounds = self._rounds = Rounds(self._loop, queue, self._moves, self._pace.hold)
        self._publisher.start(connection)

        def ready() -> None:
            begin = partial(rounds.begin, 0, self._pump)
            lock(self._errand, connection, self._broker, self._doing, begin)

        def closed(_: object, error: Exception) -> None:
            if connection.is_open:
                self._fail(Kind.FAILED)(f"events cannot be heard: {error}")

        if self._canary is None:
            ready()
        else:
            events = self._broker.names.events
            listen(connection, events, heard=self._heard, ready=ready, closed=closed)
        self._tick()

    def _fail(self, kind: Kind) -> Callable[[str], None]:
        return lambda why: self._errand.end(Trouble(kind, why))

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
            and self._publisher.outstanding < UNCONFIRMED_AT_MOST
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

    def _send(self, move: Move) -> None:
        held = self._rounds.pick(move) if self._rounds else None
        if held is None:
            self.done.gone += 1
        elif move.redrives is None:
            held.ack()
            self.done.copies += 1
        else:
            message = again(
                held.letter,
                held.delivery,
                self._broker.names,
                redrives=move.redrives,
                body=move.body,
                place=move.place,
            )
            self._publish(message, held)

    def _publish(self, message: Again, held: Held) -> None:
        identity = message.identity
        if self._canary is not None:
            self._canary.begin(identity, self._loop.now())

        def sure(fate: Fate) -> None:
            if fate is Fate.CONFIRMED:
                held.ack()
                self.done.sent += 1
            elif fate is not Fate.UNWANTED:
                self.done.unroutable += fate is Fate.UNROUTABLE
                self.done.refused += fate is Fate.REFUSED
            if self._canary is not None and (identity is None or fate is not Fate.CONFIRMED):
                self._canary.fail(identity)
            self._pump()

        self._publisher.publish(message.publication, lambda: held.alive, sure)

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
        if rounds is None or not rounds.is_open or self._publisher.outstanding:
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

    def _end_step(self, canary: Canary, rounds: Rounds) -> None:
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
