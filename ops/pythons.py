"""Run tests on another Python, of a Debian in a folder: `python -m ops.pythons 3.14 tests/unit`.

Each has the RabbitMQ of its Debian too, so that tests of the broker run on it without more. Root
only; made the first time, and again when the locked dependencies change.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ops.rabbitmq import chroot
from ops.rabbitmq.install import AbsentError

if TYPE_CHECKING:
    from collections.abc import Sequence

SUITES: Final = {"3.13": "trixie", "3.14": "forky"}
"""The Debian that ships each Python."""
_LOCK: Final = Path("requirements-dev.lock")
_CERTIFICATES: Final = "etc/ssl/certs/ca-certificates.crt"
_INSTALL: Final = """
set -e
cd {repository}
rm -rf /opt/venv
python{version} -m venv /opt/venv
export PIP_CERT=/{certificates} PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
/opt/venv/bin/pip install --quiet --require-hashes --requirement requirements-dev.lock
/opt/venv/bin/pip install --quiet --no-deps --no-build-isolation --editable .
echo {lock} >/opt/venv/lock
"""
_TEST: Final = 'cd "$1"; shift; exec /opt/venv/bin/python -m pytest -p no:cacheprovider "$@"'


def prepared(version: str) -> Path:
    """The folder of a Debian with that Python and the locked dependencies; or AbsentError."""
    packages = (f"python{version}", f"python{version}-venv", "rabbitmq-server", "procps", "openssl")
    tree = chroot.debian(SUITES[version], packages, name=f"python-{version}")
    for machines in (_CERTIFICATES, "etc/resolv.conf"):  # which the package index is found by
        shutil.copy(Path("/") / machines, tree / machines)
    lock = hashlib.sha256(_LOCK.read_bytes()).hexdigest()
    stamp = tree / "opt/venv/lock"
    if not (stamp.exists() and stamp.read_text(encoding="ascii").strip() == lock):
        script = _INSTALL.format(
            repository=chroot.INNER, version=version, certificates=_CERTIFICATES, lock=lock
        )
        if _within(tree, ["/bin/sh", "-c", script]):
            raise AbsentError(f"the dependencies could not be installed on Python {version}")
    return tree


def _within(tree: Path, command: Sequence[str]) -> int:
    return subprocess.run(chroot.entered(tree, Path.cwd(), command), check=False).returncode


def main() -> None:
    """Run pytest with the arguments after the version, and end as it does; 69 without a Python."""
    version, *arguments = sys.argv[1:]
    try:
        tree = prepared(version)
    except AbsentError as absent:
        print(absent, file=sys.stderr)
        sys.exit(os.EX_UNAVAILABLE)
    shell = ["/bin/sh", "-c", _TEST, "pytest", str(chroot.INNER), *arguments]
    sys.exit(_within(tree, shell))


if __name__ == "__main__":
    main()
