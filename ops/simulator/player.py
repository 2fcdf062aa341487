"""Plays steps on a connection, no faster than the caller reads."""

from __future__ import annotations

import contextlib
import socket
import struct
from typing import TYPE_CHECKING

from ops.simulator.faults.fault import Close, Hang, Send, Wait

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

    from ops.simulator.faults.fault import Step

_LINGER_0 = struct.pack("ii", 1, 0)


class Player:
    """One series of steps at a time; `done` is called when the last has been played."""

    __slots__ = ("_done", "_loop", "_paused", "_steps", "_transport")

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        done: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._loop = loop
        self._done = done
        self._steps: Iterator[Step] | None = None
        self._paused = False

    @property
    def is_playing(self) -> bool:
        """Whether some steps are still to come."""
        return self._steps is not None

    def play(self, steps: Iterator[Step]) -> None:
        """Begin, and go as far as can be gone at once."""
        self._steps = steps
        self._turn(steps)

    def pause(self) -> None:
        """The caller reads slower than we write."""
        self._paused = True

    def resume(self) -> None:
        """The caller has caught up."""
        self._paused = False
        if self._steps is not None:
            self._turn(self._steps)

    def stop(self) -> None:
        """Play no more; `done` is not called."""
        self._steps = None

    def _turn(self, steps: Iterator[Step]) -> None:
        if steps is not self._steps:
            return  # a timer of steps that were stopped
        for step in steps:
            match step:
                case Send(data):
                    self._transport.write(data)
                    if self._paused:
                        return
                case Wait(seconds):
                    self._loop.call_later(seconds, self._turn, steps)
                    return
                case Hang():
                    return
                case Close(reset):
                    self._close(reset=reset)
                    break
        self._steps = None
        self._done()

    def _close(self, *, reset: bool) -> None:
        if not reset:
            self._transport.close()
            return
        sock: socket.socket | None = self._transport.get_extra_info("socket")
        if sock is not None:
            with contextlib.suppress(OSError):  # the caller was faster
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_0)
        self._transport.abort()
