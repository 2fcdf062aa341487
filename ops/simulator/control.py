"""A simulator of one's own: started, frozen, killed and ended from Python.

with Simulator() as simulator:
    simulator.account("key", "secret", rate="20/s")
    simulator.answer("-3", account="key", seconds=20)
    ...
    assert simulator.summary()["key"].overlaps == 0
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from ops.simulator.remote import PATIENCE, RefusedError, Remote
from ops.simulator.seen import Call, Summary

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Call", "RefusedError", "Remote", "Simulator", "Summary"]

_ROOT = Path(__file__).resolve().parents[2]


class Simulator(Remote):
    """A simulator in a child process, on a free port of this machine.

    `options` are those of the command line (`"--rate", "20/s"`); paths in them
    absolute. The child ends with the block, and by itself when we die. Its record
    and cues die with it; `restart` gives a new one on the same port, with the
    accounts and settings given here.
    """

    def __init__(self, *options: str, port: int = 0) -> None:
        super().__init__("")
        self._options = options
        self._port = port
        self._given: dict[str, tuple[str, Mapping[str, Any]]] = {}
        self._child: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The child's process id; RuntimeError when there is none."""
        if self._child is None:
            raise RuntimeError("the simulator is not running")
        return self._child.pid

    def start(self) -> None:
        """Start the child and wait until it listens; RuntimeError when it does not."""
        if self._child is not None:
            raise RuntimeError("the simulator is running already")
        command = [sys.executable, "-m", "ops.simulator", "--port", str(self._port)]
        self._child = subprocess.Popen(
            [*command, "--until-stdin-closes", *self._options],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for us alone
        )
        try:
            self.url = _first_line(self._child)["url"]
            self._port = urlsplit(self.url).port or 0
            for path, fields in self._given.values():
                super().post(path, fields)
        except BaseException:
            self.kill()
            raise

    def post(self, path: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """As of Remote; accounts and settings are kept for a restart."""
        found = super().post(path, fields)
        if path == "account":
            self._given[f"account {fields['key']}"] = (path, fields)
        elif path == "settings":
            kept = self._given.get(path, (path, {}))[1]
            self._given[path] = (path, {**kept, **fields})
        return found

    def stop(self) -> int:
        """End the child by SIGTERM and wait; its exit code, 0 when there was none."""
        return self._end(signal.SIGTERM)

    def kill(self) -> int:
        """End the child by SIGKILL."""
        return self._end(signal.SIGKILL)

    def restart(self) -> None:
        """End it, unless it has ended, and start another on the same port."""
        self.stop()
        self.start()

    def freeze(self) -> None:
        """SIGSTOP: connections stay open and nothing answers, the control paths neither."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def _end(self, how: signal.Signals) -> int:
        self.close()
        child, self._child = self._child, None
        if child is None:
            return 0
        with child:
            with suppress(ProcessLookupError):
                child.send_signal(how)
                child.send_signal(signal.SIGCONT)  # a frozen one would never take it
            return child.wait(PATIENCE)


def _first_line(child: subprocess.Popen[str]) -> dict[str, Any]:
    """The line in which the child says where it listens."""
    if child.stdout is None or not select.select([child.stdout], [], [], PATIENCE)[0]:
        raise RuntimeError("the simulator says nothing")
    line = child.stdout.readline()
    if not line:
        raise RuntimeError(f"the simulator ended at its start with {child.wait(PATIENCE)}")
    found: dict[str, Any] = json.loads(line)
    return found
