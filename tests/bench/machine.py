"""What the figures were taken on: processor, memory, kernel, and the versions of everything."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench.api import ROOT
from tests.bench.ground import VENVS

if TYPE_CHECKING:
    from ops.rabbitmq.node import Node

_SHOWN = {
    "ship": ("pika", "requests", "urllib3", "httptools", "pydantic", "structlog"),
    "peers": ("celery", "kombu", "dramatiq", "faststream", "aio-pika", "aiohttp", "uvloop"),
}
_ASK = """
import json, sys
from importlib.metadata import version
print(json.dumps({name: version(name) for name in sys.argv[1:]}))
"""


def described(node: Node) -> dict[str, Any]:
    """All that a reader needs to take the figures for what they are."""
    return {
        "processor": _field("/proc/cpuinfo", "model name"),
        "cores": os.cpu_count(),
        "memory": round(int(_field("/proc/meminfo", "MemTotal").split()[0]) / 1024 / 1024),
        "kernel": platform.release(),
        "system": _field("/etc/os-release", "PRETTY_NAME", "=").strip('"'),
        "python": platform.python_version(),
        "rabbitmq": node.version,
        "commit": _commit(),
        "load": round(os.getloadavg()[0], 1),
        "versions": {name: version for venv in VENVS for name, version in _asked(venv).items()},
    }


def _field(path: str, name: str, separator: str = ":") -> str:
    """A line of a file such as /proc/cpuinfo; empty where there is none."""
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return ""
    found = (line.partition(separator) for line in lines)
    return next((after.strip() for before, _, after in found if before.strip() == name), "")


def _commit() -> str:
    done = subprocess.run(
        ("git", "describe", "--always", "--dirty", "--exclude=*"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"


def _asked(venv: str) -> dict[str, str]:
    python = VENVS[venv] / "bin" / "python"
    done = subprocess.run(
        (python, "-c", _ASK, *_SHOWN[venv]), capture_output=True, text=True, check=True
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found
