"""What operators deploy is clean by the tools that it is for: `make check-ops`, as CI calls it."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.conftest import CI


def test_every_tool_is_content() -> None:
    missing = [name for name in ("make", "promtool", "systemd-analyze") if not shutil.which(name)]
    if missing and not CI:
        pytest.skip(f"there is no {', '.join(missing)} here")
    command = ("make", "--old-file=install", "check-ops")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
