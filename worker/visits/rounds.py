"""A redrive's rounds: as many letters as may be held at once, for as long as they may be held."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from worker.letters.plan import first_within
from worker.visits.hand import Hand

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from worker.amqp.letters import WholeQueue
    from worker.amqp.loop import PikaLoop
    from worker.letters.plan import Move
    from worker.visits.hand import Held

HELD_BYTES = 64 * 1024 * 1024
"""Bodies kept in memory at once, about."""


class Rounds:
    """Takes the queue, gives it back, and takes it anew; everything on the loop's thread."""

    def __init__(
        self, loop: PikaLoop, queue: WholeQueue, moves: Sequence[Move], hold: float
    ) -> None:
        """`hold`: seconds that a round may take."""
        self.is_open = False
        """The letters of this round are in hand."""
        self.is_leaving = False
        """They are on their way back."""
        self._loop = loop
        self._moves = moves
        self._hold = hold
        self._hand = Hand(loop, queue)
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

    def pick(self, move: Move) -> Held | None:
        """The letter of a move, once; None if it was not in the queue."""
        return self._hand.pick(move.key)

    def leave(self, then: Callable[[], None]) -> None:
        """Give back what was not settled, in order; then call `then`."""

        def left() -> None:
            self.is_leaving = False
            then()

        self.is_open, self.is_leaving = False, True
        self._hand.give_back(left)
