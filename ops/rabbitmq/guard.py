"""A program that cannot outlive the one that started it, however that one ends."""

from __future__ import annotations

import subprocess
from typing import IO, TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta
    from pathlib import Path

# Waits at a pipe from us. A line means that the program has ended as it should; end of file
# means that we are gone (a crash, kill -9, a terminal closed), and then it kills. Chosen over
# PR_SET_PDEATHSIG, which strikes when the starting *thread* ends.
_WATCH = 'trap "" INT TERM HUP; read -r _ || kill -KILL "$1" 2>/dev/null'


class Guarded:
    """A running program with a watcher that kills it when this process is gone.

    It has a session of its own, so that Ctrl-C reaches it only through us.
    """

    def __init__(self, program: subprocess.Popen[bytes]) -> None:
        self._program = program
        self._watch = subprocess.Popen(
            ["/bin/sh", "-c", _WATCH, "guard", str(program.pid)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    @classmethod
    def started(
        cls,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        folder: Path,
        output: IO[bytes],
    ) -> Self:
        """Start `command` in `folder`; what it prints goes to the file `output`."""
        program = subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            return cls(program)
        except BaseException:
            program.kill()
            raise

    @property
    def pid(self) -> int:
        """The program's process id."""
        return self._program.pid

    @property
    def status(self) -> int | None:
        """Its exit status, or None while it runs."""
        return self._program.poll()

    def signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        self._program.send_signal(number)

    def ended(self, within: timedelta) -> bool:
        """Whether it has ended within that time; then its watcher is dismissed too."""
        try:
            self._program.wait(within.total_seconds())
        except subprocess.TimeoutExpired:
            return False
        self._dismiss()
        return True

    def kill(self) -> None:
        """End it at once (SIGKILL) and wait until it is gone."""
        self._program.kill()
        self._program.wait()
        self._dismiss()

    def _dismiss(self) -> None:
        if self._watch.returncode is None:
            self._watch.communicate(b"\n")
