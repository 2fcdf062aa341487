"""`taskedit console` as a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import requests

from tests.contract.console.conftest import SAME_ORIGIN

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY = "amqp://guest:guest@127.0.0.1:1/%2F"
CANARY = "canary-of-a-password"
WITHOUT_EXTRA = "import sys; sys.modules['{}'] = None; from worker.cli import main; main()"


@contextmanager
def started(**variables: str) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """The process, its address, and a code that signs in."""
    environment = {"PATH": os.environ["PATH"], "TASKEDIT_CONSOLE_ADDRESS": "127.0.0.1:0"}
    with subprocess.Popen(
        (sys.executable, "-u", "-m", "worker", "console"),
        env=environment | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            address = re.search(r"http://\S+(?=\.)", process.stdout.readline())
            code = re.search(r"code=(\S+)", process.stdout.readline())
            assert address is not None
            assert code is not None
            yield process, address[0], code[1]
        finally:
            process.kill()


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_it_answers_without_rabbitmq_and_ends_with_0(ending: signal.Signals) -> None:
    secret = f"amqp://guest:{CANARY}@127.0.0.1:1/%2F"
    with started(TASKEDIT_AMQP_URL=secret) as (process, address, code), requests.Session() as one:
        one.trust_env = False
        one.headers.update(SAME_ORIGIN)
        page = one.post(f"{address}/sign-in", {"code": code}, timeout=20)
        pages = [page.text] + [
            one.get(address + path, timeout=20).text
            for path in ("/dead", "/events", "/operations", "/jobs/1", "/api/v1/lanes", "/healthz")
        ]

        process.send_signal(ending)

        assert "RabbitMQ has not answered since" in page.text
        assert not [text for text in pages if CANARY in text or code in text]
        assert process.wait(20) == 0


@pytest.mark.parametrize("missing", ["starlette", "uvicorn", "jinja2"])
def test_without_the_extra_it_says_which(missing: str) -> None:
    done = subprocess.run(
        (sys.executable, "-c", WITHOUT_EXTRA.format(missing), "console"),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert done.returncode == 69
    assert "FILE[console]" in done.stderr


@pytest.mark.parametrize("command", ["validate", "run", "lanes"])
def test_no_other_command_imports_it(command: str) -> None:
    check = "import sys; from worker.cli import root; root.main({}, standalone_mode=False)"
    said = "print([n for n in ('starlette', 'uvicorn', 'jinja2') if n in sys.modules])"
    done = subprocess.run(
        (sys.executable, "-c", f"{check.format([command, '--help'])}; {said}"),
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )

    assert done.stdout.endswith("[]\n")


def test_what_it_may_not_serve_ends_with_78() -> None:
    done = subprocess.run(
        (sys.executable, "-m", "worker", "console"),
        env={"PATH": os.environ["PATH"], "TASKEDIT_CONSOLE_ADDRESS": "0.0.0.0:0"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert done.returncode == 78
    assert "TASKEDIT_CONSOLE_ADDRESS can be reached from other machines" in done.stderr


def test_a_port_that_is_taken_is_said() -> None:
    with started(TASKEDIT_AMQP_URL=NOBODY) as (_, address, _code):
        done = subprocess.run(
            (sys.executable, "-m", "worker", "console"),
            env={"PATH": os.environ["PATH"], "TASKEDIT_CONSOLE_ADDRESS": address[7:]},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    assert done.returncode == 1
    assert "cannot be listened on" in done.stderr
