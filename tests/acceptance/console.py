"""`taskedit` as an operator calls it: a process of its own, with the worker's settings."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Console:
    """Where commands are given."""

    environment: Mapping[str, str]
    folder: Path

    def begun(self, *command: str, **more: str) -> subprocess.Popen[str]:
        """A command under way; `more` are environment variables as they are."""
        return subprocess.Popen(
            (sys.executable, "-m", "worker", *command),
            env={"PATH": os.environ["PATH"], **self.environment, **more},
            cwd=self.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def code(self, *command: str) -> int:
        """The exit code of a command."""
        process = self.begun(*command)
        process.communicate(timeout=45)
        return process.returncode

    def run(
        self, *command: str, code: int = 0, stdin: str = "", **more: str
    ) -> subprocess.CompletedProcess[str]:
        """A command that has ended, with that exit code."""
        process = self.begun(*command, **more)
        try:
            out, err = process.communicate(stdin, 45)
        except BaseException:
            process.kill()
            process.communicate()
            raise
        assert process.returncode == code, f"{command} gave {process.returncode}: {err}{out}"
        return subprocess.CompletedProcess(command, process.returncode, out, err)
