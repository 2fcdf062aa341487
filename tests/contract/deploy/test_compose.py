"""How Compose starts worker and console: bad settings stay, all else ends as taskedit ends."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.acceptance.kit import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STAND_IN = """#!/bin/sh
trap 'echo HUP' HUP
trap 'echo TERM; exit 0' TERM
echo "$@"
[ -z "$ENDS_WITH" ] || exit "$ENDS_WITH"
while :; do sleep 0.05; done
"""


@pytest.fixture
def said(tmp_path: Path) -> Path:
    return tmp_path / "said"


@pytest.fixture
def service() -> str:
    """Which one Compose starts."""
    return "worker"


@pytest.fixture
def start(
    tmp_path: Path, said: Path, service: str
) -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """Start what Compose starts, with a taskedit that ends with that code, or not at all."""
    one = yaml.safe_load(Path("docker-compose.yml").read_text())["services"][service]
    words = [word.replace("$$", "$") for word in one["entrypoint"] + one["command"]]
    # A container begins with no signal ignored; whoever runs the tests under nohup does.
    command = ["env", "--default-signal=HUP", *words]
    (tmp_path / "taskedit").write_text(STAND_IN)
    (tmp_path / "taskedit").chmod(0o755)
    started = []

    def start(ends_with: str) -> subprocess.Popen[bytes]:
        environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "ENDS_WITH": ends_with}
        with said.open("wb") as output:
            started.append(
                subprocess.Popen(
                    command,
                    env=environ,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            )
        return started[-1]

    yield start
    for each in started:
        if each.poll() is None:
            os.killpg(each.pid, signal.SIGKILL)
        each.wait()


@pytest.mark.parametrize("service", ["worker", "console"])
def test_bad_settings_stay_and_say_what_to_do_until_they_are_stopped(
    start: Callable[[str], subprocess.Popen[bytes]], said: Path, service: str
) -> None:
    container = start("78")
    until(lambda: f"then: docker compose restart {service}\n" in said.read_text())
    assert container.poll() is None
    container.send_signal(signal.SIGTERM)
    assert container.wait(10) == 78


@pytest.mark.parametrize("code", [0, 1, 69])
def test_any_other_end_is_the_containers_end(
    start: Callable[[str], subprocess.Popen[bytes]], code: int
) -> None:
    assert start(str(code)).wait(10) == code


def test_the_worker_gets_its_command_and_its_signals(
    start: Callable[[str], subprocess.Popen[bytes]], said: Path
) -> None:
    container = start("")
    until(lambda: said.read_text() == "run\n")
    container.send_signal(signal.SIGHUP)
    until(lambda: "HUP" in said.read_text())
    assert container.poll() is None
    container.send_signal(signal.SIGTERM)
    assert container.wait(10) == 0
    assert said.read_text() == "run\nHUP\nTERM\n"
