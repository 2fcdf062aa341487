"""Another Debian in a folder, to run what it ships beside the machine's own.

Debian 13 (trixie) has RabbitMQ 4.0, its successor (forky) 4.3. Only root can make such a folder
or enter it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ops.rabbitmq.install import AbsentError, package

if TYPE_CHECKING:
    from collections.abc import Sequence

SUITES: Final = {"4.0": "trixie", "4.3": "forky"}
"""The Debian that ships each RabbitMQ that the machine has not."""
VERSIONS: Final = ("3.10", *SUITES)
"""Those that are tested; the first is the machine's own."""
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


def of_rabbitmq(version: str) -> Path | None:
    """The folder of the Debian with that RabbitMQ; None when it is the machine's own (3.10)."""
    return debian(SUITES[version]) if version in SUITES else None


def debian(
    suite: str, packages: Sequence[str] = ("rabbitmq-server",), *, name: str | None = None
) -> Path:
    """The folder of a Debian with those packages, made the first time (a minute).

    It is kept by its name (the suite's, if none is given) under the folder that TASKEDIT_CACHE
    names, else ~/.cache/task-edit-worker. AbsentError says what stands in the way.
    """
    tree = cache() / (name or suite)
    if tree.exists():
        return tree
    if os.geteuid() != 0:
        raise AbsentError(f"only root can make a Debian {suite} in a folder")
    if shutil.which("mmdebstrap") is None:
        package("mmdebstrap")
    made = tree.with_name(f"{tree.name}.{os.getpid()}")
    try:
        _mmdebstrap(suite, packages, made)
        # A minimal tree has none, and Erlang asks it for its own host's name.
        (made / "etc/hosts").write_text("127.0.0.1 localhost\n", encoding="ascii")
        made.rename(tree)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return tree


def cache() -> Path:
    """The folder in which what was made once is kept."""
    named = os.environ.get(CACHE_VARIABLE)
    cache = Path(named) if named else Path.home() / ".cache/task-edit-worker"
    cache.mkdir(parents=True, exist_ok=True)
    return cache


def _mmdebstrap(suite: str, packages: Sequence[str], tree: Path) -> None:
    # A mirror's release file of a suite in the making soon is past its date.
    patience = '--aptopt=Acquire::Check-Valid-Until "false"'
    wanted = f"--include={','.join(packages)},ca-certificates"
    done = subprocess.run(
        ["mmdebstrap", "--quiet", patience, "--variant=minbase", wanted, suite, str(tree)],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-15:])
        raise AbsentError(f"mmdebstrap could not make a Debian {suite}:\n{tail}")
