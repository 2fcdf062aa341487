"""The systemd unit's command, with a socket and credentials like systemd's; and its wrapper."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.kit import until

if TYPE_CHECKING:
    from collections.abc import Iterator

UNIT = Path("ops/systemd/task-edit-worker.service")
WRAPPER = Path("ops/systemd/taskedit.sh").absolute()
SECRET = "not-to-be-seen"
SYSTEMD_RUN = f"""#!{sys.executable}
import os, sys
from pathlib import Path
Path("arguments").write_text(str(sys.argv))
said = [each.partition("=") for each in sys.argv[1:]]
told = [value for name, _, value in said if name == "--setenv"]
files = [each.partition("EnvironmentFile=")[2].lstrip("-") for each in sys.argv]
files = [each.replace("/etc/taskedit", os.getcwd()) for each in files if each]
read = 'set -a; for file; do . "$file"; done; exec env -0'
os.execvp("env", ["env", "-i", *told, "sh", "-c", read, "sh", *files])
"""
"""What --setenv says, then each file, and nothing of the caller's own: what a command is given."""

pytestmark = pytest.mark.xdist_group("deploy")
"""One installation serves them all."""


@pytest.fixture(scope="module")
def service() -> dict[str, list[str]]:
    """What the unit says, every value of a name in order."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in UNIT.read_text().splitlines():
        name, sign, value = line.partition("=")
        if sign and not name.startswith("#"):
            found[name].append(value)
    return found


@pytest.fixture
def notified(tmp_path: Path) -> Iterator[socket.socket]:
    """What systemd would hear."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "notify"))
        heard.settimeout(10)
        yield heard


def settings(service: dict[str, list[str]], folder: Path) -> dict[str, str]:
    """The unit's own environment, its specifiers filled in and its files in `folder`."""
    text = " ".join(service["Environment"])
    text = text.replace("%d", str(folder)).replace("/etc/taskedit", str(folder))
    return dict(pair.split("=", 1) for pair in shlex.split(text))


def test_the_command_says_that_it_is_ready_lives_and_stops(
    service: dict[str, list[str]],
    installed: Path,
    notified: socket.socket,
    tmp_path: Path,
    port: int,
) -> None:
    (tmp_path / "amqp.url").write_text(f"amqp://user:{SECRET}@127.0.0.1:1/%2F\n")
    (tmp_path / "acme.secret").write_text(f"{SECRET}\n")
    (tmp_path / "accounts.toml").write_text(
        '[accounts.acme]\napi_key = "key"\napi_secret_file = "acme.secret"\n'
    )
    command = service["ExecStart"][0].replace("/opt/taskedit", str(installed))
    environment = settings(service, tmp_path) | {
        "PATH": os.environ["PATH"],
        "NOTIFY_SOCKET": str(tmp_path / "notify"),
        "WATCHDOG_USEC": "30000000",
        "STATE_DIRECTORY": str(tmp_path / "state"),
        "TASKEDIT_OPS_ADDRESS": f"127.0.0.1:{port}",
    }
    log = tmp_path / "log"
    with log.open("wb") as out:
        worker = subprocess.Popen(shlex.split(command), env=environment, stdout=out, stderr=out)
    heard: list[str] = []

    def told(word: str) -> bool:
        heard.append(notified.recv(4096).decode())
        return any(word in message.splitlines() for message in heard)

    try:
        until(lambda: told("READY=1"))
        until(lambda: told("WATCHDOG=1"))
        assert any("STATUS=" in message for message in heard)
        worker.terminate()
        until(lambda: told("STOPPING=1"))
        worker.wait(20)
    finally:
        worker.kill()
    assert SECRET not in log.read_text()
    assert (tmp_path / "state").is_dir()


def test_bad_settings_are_not_tried_again(
    service: dict[str, list[str]], installed: Path, tmp_path: Path
) -> None:
    command = service["ExecStart"][0].replace("/opt/taskedit", str(installed))
    environment = settings(service, tmp_path) | {"PATH": os.environ["PATH"]}
    done = subprocess.run(
        shlex.split(command), env=environment, capture_output=True, timeout=20, check=False
    )
    assert str(done.returncode) == service["RestartPreventExitStatus"][0]


def given(folder: Path, **shells: str) -> dict[str, str]:
    """The environment of a command by the wrapper, called from a shell with these settings."""
    (folder / "worker.env").write_text("TASKEDIT_DECLARE=false\nTASKEDIT_NAMESPACE=acme\n")
    (folder / "systemd-run").write_text(SYSTEMD_RUN)
    (folder / "systemd-run").chmod(0o755)
    environ = shells | {"PATH": f"{folder}:{os.environ['PATH']}"}
    called = (WRAPPER, "doctor")
    done = subprocess.run(called, env=environ, cwd=folder, capture_output=True, check=True)
    return dict(each.split("=", 1) for each in done.stdout.decode().split("\0") if each)


def test_a_command_has_the_services_settings_and_its_state_folder(tmp_path: Path) -> None:
    environ = given(tmp_path)
    assert environ["TASKEDIT_DECLARE"] == "false"
    assert environ["TASKEDIT_AMQP_URL_FILE"] == "/etc/taskedit/amqp.url"
    assert environ["STATE_DIRECTORY"] == "/var/lib/taskedit"


def test_what_the_shell_sets_wins_and_is_no_property_of_a_unit(tmp_path: Path) -> None:
    url = f"""amqp://user:{SECRET}'"$`\\@rabbit/%2F"""
    environ = given(tmp_path, TASKEDIT_DECLARE="true", TASKEDIT_AMQP_URL=url)
    assert environ["TASKEDIT_DECLARE"] == "true"
    assert environ["TASKEDIT_NAMESPACE"] == "acme"
    assert environ["TASKEDIT_AMQP_URL"] == url
    assert not environ["TASKEDIT_AMQP_URL_FILE"]
    assert SECRET not in (tmp_path / "arguments").read_text()
