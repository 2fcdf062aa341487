"""Erlang's port mapper (epmd), through which the nodes and tools of one cookie meet."""

from __future__ import annotations

import os
import secrets
import socket
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from ops.rabbitmq import chroot
from ops.rabbitmq.guard import Guarded
from ops.rabbitmq.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path

_PATIENCE = timedelta(seconds=10)


class PortMapper:
    """An epmd of one's own, on loopback, and the cookie of the nodes that meet there.

    Left to itself, the first node would start one as a daemon that nobody ends.
    """

    def __init__(self, folder: Path, *, root: Path | None = None) -> None:
        self.port = free_port()
        self.cookie = secrets.token_hex(16)
        self._folder = folder
        self._root = root
        self._running: Guarded | None = None

    def start(self) -> None:
        """Start it, unless it runs; returns when it can be reached."""
        if self._running is not None and self._running.status is None:
            return
        command = ["epmd", "-port", str(self.port), "-address", "127.0.0.1"]
        if self._root is not None:
            command = chroot.entered(self._root, self._folder, command)
        with (self._folder / "epmd.log").open("ab") as output:
            self._running = Guarded.started(
                command, environment=dict(os.environ), folder=self._folder, output=output
            )
        if not reachable(self.port, _PATIENCE):
            self.stop()
            raise TimeoutError(f"epmd does not listen on port {self.port}")

    def stop(self) -> None:
        """End it."""
        if self._running is not None:
            self._running.kill()
            self._running = None


def reachable(port: int, within: timedelta) -> bool:
    """Whether something accepts connections on that port of 127.0.0.1 within that time."""
    deadline = time.monotonic() + within.total_seconds()
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.02)
    return False
