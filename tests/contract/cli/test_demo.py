from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.unit.cli.called import surroundings

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.timeout(180)]


@contextmanager
def demo(environ: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """`make demo`, less the installation."""
    with subprocess.Popen(
        [sys.executable, "-m", "ops.demo"],
        env=surroundings(environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as child:
        try:
            yield child
        finally:
            if child.poll() is None:
                child.send_signal(signal.SIGINT)


def test_every_promise_is_kept(amqp_url: str) -> None:
    with demo({"TASKEDIT_AMQP_URL": amqp_url}) as child:
        said, _ = child.communicate()
    assert child.returncode == 0, said
    assert "All promises were kept." in said
    assert "s3cret" not in said
    assert "\x1b" not in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_in_the_middle_it_leaves_nothing_running(number: signal.Signals) -> None:
    with demo({}) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if "messages are published" in line:
                break
        started = psutil.Process(child.pid).children(recursive=True)
        assert started
        child.send_signal(number)
        said = child.stdout.read()
    assert child.returncode == 1
    assert "Stopped; nothing is left running." in said
    assert "Traceback" not in said
    assert psutil.wait_procs(started, timeout=10)[1] == []
