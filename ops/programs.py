"""Programs of the distribution that the checks of deployment and monitoring need.

`python -m ops.programs promtool systemd-analyze` installs what is missing where it may.
"""

from __future__ import annotations

import os
import shutil
import sys

from ops.rabbitmq.install import AbsentError, package

PACKAGES = {
    "chromium": "chromium",
    "prometheus": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "promtool": "prometheus",
    "systemd-analyze": "systemd",
    "systemd-nspawn": "systemd-container",
}
"""By the package of Debian and Ubuntu that holds it."""


def ensure(program: str) -> str:
    """The path of a program, installed first where that may be done; or AbsentError."""
    if shutil.which(program) is None:
        package(PACKAGES[program])
    found = shutil.which(program)
    if found is None:
        raise AbsentError(f"apt-get installed {PACKAGES[program]}, yet there is no {program}")
    return found


def main() -> None:
    """Print where each is; exit status 69 with the way out when one is not."""
    try:
        for program in sys.argv[1:]:
            print(ensure(program))
    except AbsentError as absent:
        print(absent, file=sys.stderr)
        sys.exit(os.EX_UNAVAILABLE)


if __name__ == "__main__":
    main()
