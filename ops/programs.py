"""Programs of the distribution that the checks of deployment and monitoring need.

`python -m ops.programs promtool systemd-analyze` installs what is missing where it may.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from ops.rabbitmq.install import AbsentError, package

AMQP_FOR_GO = "/usr/share/gocode/src/github.com/rabbitmq/amqp091-go"
AMQP_FOR_PHP = "/usr/share/php/PhpAmqpLib/autoload.php"
PACKAGES = {
    AMQP_FOR_GO: "golang-github-rabbitmq-amqp091-go-dev",
    AMQP_FOR_PHP: "php-amqplib",
    "chromium": "chromium",
    "prometheus": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "go": "golang-go",
    "php": "php-cli",
    "promtool": "prometheus",
    "systemd-analyze": "systemd",
    "systemd-nspawn": "systemd-container",
}
"""By the package of Debian and Ubuntu that holds it; a library by its path."""


def ensure(program: str) -> str:
    """The path of a program, installed first where that may be done; or AbsentError."""
    if _found(program) is None:
        package(PACKAGES[program])
    found = _found(program)
    if found is None:
        raise AbsentError(f"apt-get installed {PACKAGES[program]}, yet there is no {program}")
    return found


def _found(program: str) -> str | None:
    if program.startswith("/"):
        return program if Path(program).exists() else None
    return shutil.which(program)


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
