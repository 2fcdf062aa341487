"""What an operator sees on a terminal: no line is wider than that, and a dumb one will do."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.console import Console
from tests.acceptance.kit import edit, publish, until

if TYPE_CHECKING:
    from pathlib import Path

    from ops.simulator.control import Simulator
    from tests.acceptance.conftest import NewWorker
    from tests.acceptance.kit import Subscriber

_STEERING = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x07")


def screen(console: Console, columns: int, *command: str, **more: str) -> list[str]:
    """The lines of a command on a terminal so wide, as they would stand there."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {"PATH": os.environ["PATH"], "TERM": "xterm", **console.environment, **more}
    with subprocess.Popen(
        (sys.executable, "-m", "worker", *command),
        env=environment,
        cwd=console.folder,
        stdin=slave,
        stdout=slave,
        stderr=slave,
    ) as process:
        os.close(slave)
        shown = b""
        try:
            while part := os.read(master, 65536):
                shown += part
        except OSError:  # Linux: the other end is closed
            pass
        os.close(master)
        process.wait(30)
    text = _STEERING.sub("", shown.decode())
    return [line for line in re.split(r"[\r\n]+", text) if line]


@pytest.fixture
def console(
    amqp_url: str,
    namespace: str,
    tmp_path: Path,
    simulator: Simulator,
    new_worker: NewWorker,
    events: Subscriber,
) -> Console:
    """Twelve dead letters, and a worker."""
    simulator.answer("-33", name="taken")
    new_worker()
    edits = [edit(1000000 + job, name="taken") for job in range(9)]
    edits += [edit(2000000 + job, redialTimes=9, mode="SOMETHING ELSE") for job in range(3)]
    publish(amqp_url, namespace, edits, ids="0f8fad5b-d9cb-469f-a165-70867728950e")
    until(lambda: len(events.take()) == len(edits))
    settings = {"TASKEDIT_AMQP_URL": amqp_url, "TASKEDIT_NAMESPACE": namespace}
    return Console(settings, tmp_path)


@pytest.mark.parametrize(("columns", "term"), [(80, "xterm"), (60, "xterm"), (80, "dumb")])
def test_no_line_is_wider_than_the_terminal(console: Console, columns: int, term: str) -> None:
    commands = (
        ("dead", "list"),
        ("dead", "show", "--max", "2"),
        ("dead", "redrive", "--reason", "invalid", "--why", "INC-4711, mended by the publisher"),
        ("history",),
        ("history", "--job", "2000001"),
        ("lanes",),
        ("audit",),
    )
    for command in commands:
        shown = screen(console, columns, *command, TERM=term)
        assert shown, command
        assert max(shown, key=len)[columns:] == "", f"{command}: {max(shown, key=len)}"
