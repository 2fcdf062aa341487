"""Node's packages for the tests of what runs on Node.js."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

INSTALL_SECONDS = 240


def install(folder: Path) -> None:
    """Install what a folder's lock file names, unless it is there.

    Without npm the test is skipped, and fails in CI.
    """
    if shutil.which("npm") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(
            "Node.js with npm is absent: apt-get install npm"
        )
    wanted = folder / "package-lock.json"
    with wanted.open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another pytest process may be at it
        written_last = folder / "node_modules" / ".package-lock.json"
        since = written_last.stat().st_mtime if written_last.exists() else 0
        if since < wanted.stat().st_mtime:
            _clean_install(folder)
            written_last.touch()


def _clean_install(folder: Path) -> None:
    done = subprocess.run(
        ["npm", "ci", "--no-progress", "--prefer-offline"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=INSTALL_SECONDS,
    )
    assert done.returncode == 0, done.stderr
