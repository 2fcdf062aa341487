"""What the process's log looks like from outside; each test is a process, for it is set up once."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from typing import Any

import pytest

WITHIN = 20.0
SET_UP = """
import logging, os, sys, threading, warnings
import structlog
log = structlog.get_logger()  # before it is set up, as every module does
from worker.observability.log import configure, level, set_level
configure({arguments})
"""


def said(program: str, arguments: str = '"info", "json"') -> list[dict[str, Any]]:
    """The log lines of a program."""
    return [json.loads(line) for line in written(program, arguments).splitlines()]


def written(program: str, arguments: str) -> str:
    script = SET_UP.format(arguments=arguments) + program
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, timeout=WITHIN, check=False, text=True
    )
    assert done.stdout == ""
    return done.stderr


def test_a_line_is_an_object_that_begins_with_time_level_and_event() -> None:
    (line,) = said('log.info("edit", account="acme", job_id=123, words="余额\\n不足", none=None)')

    assert list(line) == ["time", "level", "event", "account", "job_id", "words", "none"]
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "event": "edit",
        "account": "acme",
        "job_id": 123,
        "words": "余额\n不足",
        "none": None,
    }


def test_a_fact_does_not_take_the_place_of_time_or_level() -> None:
    (line,) = said('log.warning("changed", level="debug", time=3)')

    assert (line["level"], line["level_"], line["time_"]) == ("warning", "debug", 3)


def test_times_are_rfc_3339_in_utc_with_milliseconds() -> None:
    line = written(
        "import worker.observability.log as it; it.time = lambda: 1795334400.0456; log.info('x')",
        '"info", "json"',
    )

    assert line == '{"time":"2026-11-22T08:00:00.045Z","level":"info","event":"x"}\n'


def test_the_level_can_change_while_it_runs() -> None:
    lines = said("""
log.debug("unheard")
set_level("debug")
log.debug("heard", level_now=level())
set_level("error")
log.warning("unheard")
log.error("heard too")
""")

    assert [line["event"] for line in lines] == ["heard", "heard too"]
    assert lines[0]["level_now"] == "debug"


def test_whatever_is_logged_is_a_line() -> None:
    lines = said("""
class Odd:
    def __repr__(self): return "Odd()"
circle = []
circle.append(circle)
log.info("a", odd=Odd(), nan=float("nan"), raw=b"x", many={1: (2, {3})})
log.info("b", surrogate="\\ud800", number=1)
log.info("c", circle=circle)
log.info("d", raw=b"\\xff")
""")

    assert [line["event"] for line in lines] == ["a", "b", "c", "d"]
    assert lines[0]["odd"] == "Odd()"
    assert lines[1]["surrogate"] == "\\ud800"


def test_an_exception_is_one_line_with_its_trace() -> None:
    (line,) = said("""
try:
    1 / 0
except ZeroDivisionError:
    log.exception("failed", account="acme")
""")

    assert (line["level"], line["event"], line["account"]) == ("error", "failed", "acme")
    assert line["exception"].endswith("ZeroDivisionError: division by zero")


def test_libraries_log_like_us_and_chatter_less() -> None:
    lines = said("""
logging.getLogger("pika.adapters").error("unheard: we tell of lost connections ourselves")
logging.getLogger("urllib3").info("unheard")
logging.getLogger("other").info("unheard")
logging.getLogger("other").warning("it is %s", "odd")
logging.getLogger("other").error("bad %d", "arguments")
warnings.warn("worn")
""")

    assert [(line["level"], line["event"], line["logger"]) for line in lines] == [
        ("warning", "library", "other"),
        ("error", "library", "other"),
        ("warning", "library", "py.warnings"),
    ]
    assert lines[0]["message"] == "it is odd"
    assert lines[1]["message"] == "bad %d"


def test_a_crash_is_a_line_too() -> None:
    lines = said("""
thread = threading.Thread(target=lambda: 1 / 0, name="io")
thread.start()
thread.join()
raise RuntimeError("the end")
""")

    assert [(line["level"], line["event"]) for line in lines] == [
        ("critical", "thread_crashed"),
        ("critical", "crashed"),
    ]
    assert lines[0]["thread"] == "io"
    assert lines[1]["exception"].endswith("RuntimeError: the end")


def test_the_last_lines_are_out_when_the_process_ends() -> None:
    lines = said("""
for number in range(3000):
    log.info("edit", number=number)
""")

    assert [line["number"] for line in lines] == list(range(3000))


def test_what_is_flushed_is_out_before_a_hard_end() -> None:
    program = """
lines = worker.observability.log.configure("info", "json")
log.info("edit")
lines.flush(5)
os._exit(1)
"""

    assert [line["event"] for line in said("import worker.observability.log\n" + program)] == [
        "edit"
    ]


def test_a_reader_that_stopped_reading_does_not_keep_the_process() -> None:
    program = """
for number in range(10_000):
    log.info("edit", number=number)
sys.exit(3)
"""
    script = SET_UP.format(arguments='"info", "json"') + program
    with subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE) as process:
        assert process.wait(WITHIN) == 3


@pytest.mark.parametrize("error", ["None", "io.TextIOWrapper(io.BytesIO())"])
def test_without_a_standard_error_all_goes_on(error: str) -> None:
    program = """
import io, sys
sys.stderr = {error}
import structlog
from worker.observability.log import configure
configure("info", "auto").flush(5)
structlog.get_logger().info("edit")
"""
    script = program.format(error=error)
    subprocess.run([sys.executable, "-c", script], timeout=WITHIN, check=True)


@pytest.mark.parametrize(
    ("arguments", "is_json"),
    [('"info", "auto"', True), ('"info", "json"', True), ('"info", "console"', False)],
)
def test_off_a_terminal_auto_means_json(arguments: str, is_json: bool) -> None:
    text = written('log.info("edit", account="acme")', arguments)

    assert text.startswith("{") is is_json
    assert "\x1b" not in text


@pytest.mark.parametrize("columns", [60, 80])
def test_on_a_terminal_no_line_is_wider_than_that_and_no_fact_is_lost(columns: int) -> None:
    script = (
        "from worker.observability import log; log.configure('info', 'auto');"
        "log.log.info('edit_settled', **{f'fact{n}': 'x' * n for n in range(20)})"
    )
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    subprocess.run([sys.executable, "-c", script], stderr=terminal, timeout=WITHIN, check=True)
    os.close(terminal)
    text = re.sub("\x1b\\[[0-9;]*m", "", os.read(controller, 65536).decode())
    os.close(controller)
    assert max(map(len, text.splitlines())) <= columns
    assert all(f"fact{n}='{'x' * n}'" in text for n in range(20))


@pytest.mark.parametrize(
    ("arguments", "coloured"),
    [('"info", "auto"', True), ('"info", "auto", no_color=True', False), ('"info", "json"', False)],
)
def test_on_a_terminal_auto_means_text_in_colour(arguments: str, coloured: bool) -> None:
    script = SET_UP.format(arguments=arguments) + 'log.info("edit", id="\\x1b[2J")'
    controller, terminal = pty.openpty()
    subprocess.run([sys.executable, "-c", script], stderr=terminal, timeout=WITHIN, check=True)
    os.close(terminal)
    text = os.read(controller, 65536).decode()
    os.close(controller)

    assert ("\x1b[0m" in text) is coloured
    assert "\x1b[2J" not in text  # what publishers wrote does not steer the terminal


def test_what_breaks_lines_or_turns_text_around_is_escaped() -> None:
    hostile = "a\u2028b\u2029c\u202ed\x85e\ufefff"
    text = written(f"log.info('edit', message_id={hostile!a}, words='余额')", '"info", "json"')

    assert json.loads(text)["message_id"] == hostile
    assert "余额" in text
    assert not set(hostile).difference("abcdef") & set(text)
