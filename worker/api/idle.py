"""Kept connections that wait for their next request."""

from __future__ import annotations

from collections import deque
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worker.api.wire import Wire

LONGEST_IDLE = 15.0
"""Seconds after which a kept connection is not used again.

Below what servers commonly allow (Tomcat 20, most balancers 60), so that it is we who close: a
request that crosses the server's closing on its way is lost, and nobody can say whether it was
heard. A shorter time that the server announces (``Keep-Alive: timeout=5``) counts.
"""


class Idle:
    """A stack: the connection used last is used next, so no more are kept than are needed.

    Safe for many threads without a lock: each step is one atomic operation of a deque.
    """

    __slots__ = ("_closed", "_wires")

    def __init__(self) -> None:
        self._wires: deque[Wire] = deque()
        self._closed = False

    def take(self) -> Wire | None:
        """A connection that still stands, or None; closes those that do not."""
        while self._wires:
            try:
                wire = self._wires.pop()
            except IndexError:  # another thread was faster
                break
            if monotonic() < wire.good_until and wire.is_quiet():
                return wire
            wire.close()
        return None

    def keep(self, wire: Wire, seconds: float = LONGEST_IDLE) -> None:
        """Put a connection back, good for `seconds`; close the oldest if its time is over."""
        now = monotonic()
        wire.good_until = now + min(seconds, LONGEST_IDLE)
        self._wires.append(wire)
        if self._closed:
            self.close()
        elif self._wires[0].good_until < now:
            self._close_oldest(now)

    def close(self) -> None:
        """Close all, and from now on whatever is put back."""
        self._closed = True
        while self._wires:
            self._close_oldest(float("inf"))

    def _close_oldest(self, now: float) -> None:
        try:
            oldest = self._wires.popleft()
        except IndexError:
            return
        if oldest.good_until < now:
            oldest.close()
        else:
            self._wires.appendleft(oldest)
