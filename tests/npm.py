"""Node's packages for the tests of what runs on Node.js."""

from __future__ import annotations

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
    written_last = folder / "node_modules" / ".package-lock.json"
    lock = folder / "package-lock.json"
    if written_last.exists() and written_last.stat().st_mtime >= lock.stat().st_mtime:
        return
    done = subprocess.run(
        ["npm", "ci", "--no-progress", "--prefer-offline"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=INSTALL_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    written_last.touch()
