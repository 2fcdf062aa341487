"""Another Debian in a folder, to run the RabbitMQ that it ships beside the machine's own.

Debian 13 (trixie) has RabbitMQ 4.0. Only root can make such a folder or enter it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from ops.rabbitmq.install import AbsentError, package

if TYPE_CHECKING:
    from collections.abc import Sequence

SUITE = "trixie"
CACHE_VARIABLE = "TASKEDIT_CACHE"

# Where a node's folder is seen from within: there in every Debian, and empty.
INNER = Path("/mnt")

# The mounts are made in a namespace of this one program, so they vanish with it, however it
# ends, and the machine never sees them. Each step is an exec: the pid stays the program's.
_ENTER = """
set -e
tree=$1 folder=$2
shift 2
mount --rbind /proc "$tree/proc"
mount --rbind /dev "$tree/dev"
mount --bind "$folder" "$tree/mnt"
exec chroot "$tree" "$@"
"""


def entered(tree: Path, folder: Path, command: Sequence[str]) -> list[str]:
    """The command that runs `command` within `tree`, where it sees `folder` as INNER."""
    enter = ["unshare", "--mount", "/bin/sh", "-c", _ENTER, "chroot", str(tree), str(folder)]
    return [*enter, *command]


def debian(suite: str = SUITE) -> Path:
    """The folder of a Debian with RabbitMQ, made by debootstrap the first time (a minute).

    It is kept under the folder that TASKEDIT_CACHE names, else ~/.cache/task-edit-worker.
    AbsentError says what stands in the way.
    """
    tree = _cache() / suite
    if tree.exists():
        return tree
    if os.geteuid() != 0:
        raise AbsentError(f"only root can make a Debian {suite} in a folder")
    if shutil.which("debootstrap") is None:
        package("debootstrap")
    made = tree.with_name(f"{suite}.{os.getpid()}")
    try:
        _debootstrap(suite, made)
        made.rename(tree)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return tree


def _cache() -> Path:
    named = os.environ.get(CACHE_VARIABLE)
    cache = Path(named) if named else Path.home() / ".cache/task-edit-worker"
    cache.mkdir(parents=True, exist_ok=True)
    return cache


def _debootstrap(suite: str, tree: Path) -> None:
    packages = "--include=rabbitmq-server,ca-certificates"
    done = subprocess.run(
        ["debootstrap", "--variant=minbase", packages, suite, str(tree)],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-15:])
        raise AbsentError(f"debootstrap could not make a Debian {suite}:\n{tail}")
