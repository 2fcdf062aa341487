"""`taskedit sandbox`, as a stranger, a publisher's CI and an installed wheel have it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
import requests
from hatchling.builders.wheel import WheelBuilder

from ops.rabbitmq.ports import free_port
from tests.acceptance.kit import until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.timeout(300)]


@contextmanager
def sandbox(*arguments: str, **environ: str) -> Iterator[subprocess.Popen[str]]:
    """The command, which has its end with the block."""
    with subprocess.Popen(
        [sys.executable, "-m", "worker", "sandbox", *arguments],
        env={**os.environ, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        try:
            yield child
        finally:
            if child.poll() is None:
                child.send_signal(signal.SIGINT)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_that_it_prints_applies_a_first_edit_and_its_end_leaves_nothing(
    number: signal.Signals,
) -> None:
    if shutil.which("curl") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("curl is absent")
    with sandbox(TASKEDIT_AMQP_URL="amqp://production", TASKEDIT_RATE="of a real worker") as child:
        assert child.stdout is not None
        assert child.stderr is not None
        addresses = dict(child.stdout.readline().rstrip().split("=", 1) for _ in range(7))
        told = "".join(iter(child.stderr.readline, "Ctrl-C ends all of it.\n"))
        [command] = re.findall(r"^curl -u .*?}'$", told, re.MULTILINE | re.DOTALL)
        started = psutil.Process(child.pid).children(recursive=True)
        said = subprocess.run(
            ["sh", "-c", command], capture_output=True, text=True, check=True, timeout=30
        )
        assert said.stdout == '{"routed":true}'
        lanes = f"http://{addresses['TASKEDIT_OPS_ADDRESS']}/lanes"
        until(lambda: _lane(lanes)["edits"] == {"applied": 1})
        calls = addresses["TASKEDIT_API_URL"].replace("aivoice", "_simulator/calls")
        assert requests.get(calls, timeout=5).json()["job"] == 123
        child.send_signal(number)
        _, rest = child.communicate()
    assert child.returncode == 0, rest
    assert "nothing is left running" in rest
    assert re.search('"event":"edit".*"outcome":"applied"', rest)
    assert '"drained":true' in rest
    assert "Traceback" not in told + rest
    assert psutil.wait_procs(started, timeout=10)[1] == []


def test_a_publishers_ci_runs_its_tests_in_it_and_gets_their_exit_code() -> None:
    work = 'taskedit publish --wait - && taskedit history --job 123 --json && exit "$WANTED"'
    edit = (
        '{"appId": "any-app", "jobId": 123, "name": "n", "dialogFlowId": 1, "mode": "MANUAL",'
        ' "dailyStartDateTime": "09:00", "dailyEndDateTime": "20:00", "robotCount": 1,'
        ' "jobPhoneNumberId": 1, "redial": false}'
    )
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with sandbox("--", "sh", "-c", f"echo '{edit}' | {work}", PATH=path, WANTED="7") as child:
        out, err = child.communicate()
    assert child.returncode == 7, err
    assert '"outcome": "applied"' in out or '"outcome":"applied"' in out


def test_a_command_that_does_not_exist_is_said() -> None:
    with sandbox("--", "no-such-program") as child:
        _, err = child.communicate()
    assert child.returncode == 1
    assert "no-such-program: No such file or directory" in err


def test_the_wheel_alone_can_run_it(tmp_path: Path) -> None:
    [wheel] = WheelBuilder(str(Path.cwd())).build(directory=str(tmp_path), versions=["standard"])
    shutil.unpack_archive(wheel, tmp_path / "installed", "zip")
    where = "import ops.simulator, worker; print(ops.simulator.__file__, worker.__file__)"
    done = subprocess.run(
        [sys.executable, "-m", "worker", "sandbox", "--", sys.executable, "-c", where],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "installed")},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert all(path.startswith(str(tmp_path)) for path in done.stdout.split())


def test_a_usual_port_is_taken_only_while_it_is_free() -> None:
    usual = free_port()
    assert free_port(usual) == usual
    with socket.create_server(("127.0.0.1", usual)):
        assert free_port(usual) != usual


def _lane(url: str) -> dict[str, object]:
    [found] = requests.get(url, timeout=5).json().values()
    lane: dict[str, object] = found
    return lane
