"""Find the RabbitMQ of this machine, or install the distribution's own.

`python -m ops.rabbitmq.install` says which one there is, after installing it where it may.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

HOME_VARIABLE: Final = "TASKEDIT_RABBITMQ_HOME"
"""Names the folder of a RabbitMQ that was unpacked somewhere: the one with `sbin` in it."""

# Where Debian's, Ubuntu's and the RPM packages put it; the name ends with the version.
_HOMES = "usr/lib/rabbitmq/lib/rabbitmq_server-*"
_COMMAND = "apt-get update && apt-get install --yes --no-install-recommends {package}"
# A program is wanted, not a service on port 5672: while policy-rc.d answers 101, Debian's
# packages start nothing (invoke-rc.d(8)).
_QUIETLY = """
set -e
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    printf '#!/bin/sh\\nexit 101\\n' > $policy
    chmod +x $policy
    trap 'rm -f $policy' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
"""


class AbsentError(Exception):
    """There is no RabbitMQ here, and none can be installed without a person."""


@dataclass(frozen=True, slots=True)
class Installation:
    """An installed RabbitMQ: `home` holds its `sbin`, as seen from its own root folder."""

    home: Path
    version: str

    def program(self, name: str) -> str:
        """The path of one of its scripts, such as `rabbitmqctl`."""
        return str(self.home / "sbin" / name)


def found(root: Path = Path("/"), environ: Mapping[str, str] = os.environ) -> Installation | None:
    """The newest RabbitMQ under `root` that can be started, or None.

    On this machine (`/`) the folder that TASKEDIT_RABBITMQ_HOME names comes first, or AbsentError
    if it is none, and the one on the PATH last.
    """
    here = root == Path("/")
    if here and (named := environ.get(HOME_VARIABLE)):
        if not (Path(named) / "sbin/rabbitmq-server").exists():
            raise AbsentError(f"{HOME_VARIABLE} is {named}, which has no sbin/rabbitmq-server")
        return Installation(home=Path(named), version=_version(Path(named)))
    homes = [home for home in root.glob(_HOMES) if (home / "sbin/rabbitmq-server").exists()]
    if homes and shutil.which("erl", path=str(root / "usr/bin")) is not None:
        newest = max(homes, key=lambda home: [int(part) for part in _version(home).split(".")])
        return Installation(home=Path("/") / newest.relative_to(root), version=_version(newest))
    return _on_the_path(environ.get("PATH")) if here else None


def _on_the_path(path: str | None) -> Installation | None:
    """As Homebrew and the archive for any Unix leave it: a link to the script in its `sbin`."""
    script = shutil.which("rabbitmq-server", path=path)
    if script is None or shutil.which("erl", path=path) is None:
        return None
    home = Path(script).resolve().parent.parent
    return Installation(home, _version(home)) if any(home.glob("plugins/rabbit-*")) else None


def _version(home: Path) -> str:
    """Such as 3.10.8; what may follow (-rc.1) is left out.

    From the folder's name, or, when that is another, from the broker's own plugin in it.
    """
    named = home.name.removeprefix("rabbitmq_server-")
    if named == home.name:
        plugins = sorted(path.name for path in home.glob("plugins/rabbit-*"))
        named = plugins[-1].removeprefix("rabbit-") if plugins else "0"
    return named.partition("-")[0].removesuffix(".ez")


def ensure() -> Installation:
    """The RabbitMQ of this machine, installed first where that may be done; or AbsentError."""
    installation = found()
    if installation is None:
        package("rabbitmq-server")
        installation = found()
    if installation is None:
        message = "apt-get installed rabbitmq-server, yet no RabbitMQ is under /usr/lib/rabbitmq"
        raise AbsentError(message)
    return installation


def package(name: str) -> None:
    """Install a package of the distribution by apt-get.

    That may be done as root, or with a sudo that asks for no password. Otherwise AbsentError
    names the one command to run.
    """
    command = _COMMAND.format(package=name)
    privileged = _privileged()
    if shutil.which("apt-get") is None:
        raise AbsentError(f"{name} is not installed; install it with your package manager")
    if privileged is None:
        raise AbsentError(f"{name} is not installed. Run: sudo sh -c '{command}'")
    print(f"{name} is not installed; installing it with apt-get …", file=sys.stderr)
    done = subprocess.run(
        [*privileged, "/bin/sh", "-c", _QUIETLY + command],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-15:])
        raise AbsentError(f"apt-get could not install {name}:\n{tail}")


def _privileged() -> list[str] | None:
    """What to put before a command so that root runs it; None when that cannot be had."""
    if os.geteuid() == 0:
        return []
    sudo = ["sudo", "--non-interactive"]
    if shutil.which("sudo") and subprocess.run([*sudo, "true"], check=False).returncode == 0:
        return sudo
    return None


def main() -> None:
    """Print the version that is there; exit status 69 with the way out when there is none."""
    try:
        installation = ensure()
    except AbsentError as absent:
        print(absent, file=sys.stderr)
        sys.exit(os.EX_UNAVAILABLE)
    print(f"RabbitMQ {installation.version} in {installation.home}")


if __name__ == "__main__":
    main()
