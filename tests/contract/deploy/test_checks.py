"""What operators deploy is clean by the tools that it is for: `make check-ops`, as CI calls it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.conftest import CI

if TYPE_CHECKING:
    from pathlib import Path


def test_make_install_with_a_python_that_is_too_old_says_which_is_needed(tmp_path: Path) -> None:
    old = tmp_path / "python3.10"
    pretend = "import sys; sys.version_info = (3, 10, 4); exec(sys.argv[1])"
    old.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{pretend}' \"$2\"\n")
    old.chmod(0o755)
    command = ("make", f"PYTHON={old}", f"VENV={tmp_path}/venv", f"{tmp_path}/venv/.installed")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"Python 3.11 or newer is needed, and {old} is 3.10" in done.stderr


@pytest.mark.timeout(300)
def test_every_tool_is_content() -> None:
    tools = ("make", "npm", "promtool", "systemd-analyze")
    missing = [name for name in tools if not shutil.which(name)]
    if missing and not CI:
        pytest.skip(f"there is no {', '.join(missing)} here")
    command = ("make", "--old-file=install", "check-ops")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
