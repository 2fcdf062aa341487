"""pika's I/O loop as the worker's `Loop`."""

from __future__ import annotations

from collections import deque
from time import monotonic
from typing import TYPE_CHECKING

from pika.adapters.select_connection import IOLoop

if TYPE_CHECKING:
    from collections.abc import Callable


class TurningLoop(IOLoop):
    """pika's loop, with something to be done at the end of each turn."""

    def __init__(self) -> None:
        super().__init__()
        self.ending: deque[Callable[[], None]] = deque()

    def process_timeouts(self) -> None:
        """The last thing that pika does in a turn; afterwards it waits for the next."""
        super().process_timeouts()
        ending = self.ending
        while ending:
            ending.popleft()()


class PikaLoop:
    """One loop for all connections: everything of theirs happens on the thread that runs it."""

    def __init__(self) -> None:
        self.ioloop = TurningLoop()
        self.turned_at = monotonic()
        """When the loop was last seen turning, in monotonic seconds: see `beat`."""

    def now(self) -> float:
        """Monotonic seconds."""
        return monotonic()

    def call_later(self, seconds: float, callback: Callable[[], None]) -> object:
        """Call back once after `seconds`."""
        return self.ioloop.call_later(seconds, callback)

    def cancel(self, timer: object) -> None:
        """Forget a timer."""
        self.ioloop.remove_timeout(timer)  # type: ignore[arg-type]

    def soon(self, callback: Callable[[], None]) -> None:
        """Call back at the end of this turn; what is asked for then, still in the same turn."""
        self.ioloop.ending.append(callback)

    def post(self, callback: Callable[[], None]) -> None:
        """Call back soon on the loop's thread; callable from any thread."""
        self.ioloop.add_callback_threadsafe(callback)

    def run(self) -> None:
        """Turn until `stop`; what a callback raises ends it and is raised here."""
        self.beat()
        try:
            self.ioloop.start()
        finally:
            self.ioloop.close()

    def beat(self) -> None:
        """Note that the loop turns, twice a second, for the liveness probe to see."""
        self.turned_at = monotonic()
        self.call_later(0.5, self.beat)

    def stop(self) -> None:
        """End `run` after this turn; on the loop's thread only."""
        self.ioloop.stop()
