"""What the image holds, made the way the image makes it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BUILD = Path("build/installed")


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean environment of requirements.lock and the built wheel, and nothing else."""
    folder = tmp_path_factory.mktemp("installed")
    uv = Path(sys.executable).with_name("uv")

    def run(*arguments: str) -> None:
        done = subprocess.run((uv, *arguments), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    build = ("--no-build-isolation", "--python", sys.executable)
    run("build", "--quiet", "--wheel", *build, "--out-dir", str(folder), ".")
    venv = folder / "taskedit"
    run("venv", "--quiet", "--python", sys.executable, str(venv))
    here = ("pip", "install", "--quiet", "--python", str(venv))
    run(*here, "--require-hashes", "--only-binary", ":all:", "-r", "requirements.lock")
    run(*here, "--no-deps", "--no-index", *map(str, folder.glob("*.whl")))
    return venv
