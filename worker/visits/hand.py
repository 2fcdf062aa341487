"""Some letters in hand, while the rest of the queue is held behind them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from worker.lane import ACK_SETTLES_IN
from worker.letters.letter import read

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from worker.amqp.letters import WholeQueue
    from worker.amqp.loop import PikaLoop
    from worker.amqp.window import Window
    from worker.core.delivery import Delivery
    from worker.letters.letter import Letter


@dataclass(slots=True)
class Held:
    """A letter in hand. More than one place means copies of it, which end together."""

    letter: Letter
    delivery: Delivery
    places: list[tuple[Window, int]] = field(default_factory=list)

    @property
    def alive(self) -> bool:
        """Whether it is ours still to settle."""
        return all(window.alive for window, _ in self.places)

    def ack(self) -> None:
        """Take it out of the queue for good."""
        for window, tag in self.places:
            window.ack(tag)


class Hand:
    """Takes the whole queue, and keeps the bodies of the letters that are to be worked on."""

    def __init__(self, loop: PikaLoop, queue: WholeQueue) -> None:
        self._loop = loop
        self._queue = queue
        self._held: dict[bytes, Held] = {}

    def take(self, keys: Container[bytes], taken: Callable[[], None]) -> None:
        """Have the letters with these keys in hand; then call `taken`."""
        place = 0

        def see(delivery: Delivery, window: Window) -> None:
            nonlocal place
            place += 1
            letter = read(delivery, place)
            if letter.key in keys:
                held = self._held.setdefault(letter.key, Held(letter, delivery))
                held.places.append((window, delivery.tag))

        self._held = {}
        self._queue.take(see, taken, to_settle=True)

    def pick(self, key: bytes) -> Held | None:
        """The letter with that key, once; None if it was not in the queue."""
        return self._held.pop(key, None)

    def give_back(self, done: Callable[[], None]) -> None:
        """Return all that was not acked, in order, once the acks are sure to be taken."""
        self._held = {}
        self._loop.call_later(ACK_SETTLES_IN, lambda: self._queue.give_back(done))
