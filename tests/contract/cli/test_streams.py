"""Commands on streams that are closed, full, or of another encoding, as real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.kit import until
from tests.unit.cli.called import a_line
from worker.cli.exits import FAILED

if TYPE_CHECKING:
    from pathlib import Path

TASKEDIT = f"{sys.executable} -m worker"


def shell(line: str, folder: Path, **environ: str) -> subprocess.CompletedProcess[bytes]:
    """A line of the shell, with `taskedit` in it."""
    return subprocess.run(
        ("/bin/sh", "-c", f'taskedit() {{ {TASKEDIT} "$@"; }}; {line}'),
        env={"PATH": os.environ["PATH"], **environ},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "gbk"])
@pytest.mark.parametrize(
    "command", ["--help", "run --help", "publish --help", "dead --help", "apply --help"]
)
def test_help_is_printed_in_any_encoding(command: str, encoding: str, tmp_path: Path) -> None:
    done = shell(f"taskedit {command}", tmp_path, PYTHONIOENCODING=encoding)

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"Usage: ")


def test_a_file_with_a_name_in_gbk_is_read(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + "/任务.jsonl".encode("gbk")
    with open(name, "w") as file:  # noqa: PTH123 (the name is no text)
        file.write(a_line() + "{}\n")

    done = subprocess.run(
        (sys.executable, "-m", "worker", "validate", "--json", name),
        capture_output=True,
        timeout=60,
        check=False,
    )

    assert b"Traceback" not in done.stderr
    assert done.returncode == 1
    assert [json.loads(line)["valid"] for line in done.stdout.splitlines()] == [True, False]


def test_an_option_in_gbk_is_a_usage_error_and_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "edits.jsonl").write_text(a_line())

    done = subprocess.run(
        (sys.executable, "-m", "worker", "dead", "list", "--account", "任务".encode("gbk")),
        env={"PATH": os.environ["PATH"], "TASKEDIT_AMQP_URL": "amqp://127.0.0.1:1/"},
        capture_output=True,
        timeout=60,
        check=False,
    )

    assert b"Traceback" not in done.stderr
    assert done.returncode in {2, 69}


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("taskedit --help > /dev/full", b"Standard output cannot be used: No space left on device"),
        (
            "taskedit validate --json edits.jsonl > /dev/full",
            b"Standard output cannot be used: No space left on device",
        ),
        ("taskedit --help >&-", b"Standard output cannot be used: Bad file descriptor"),
        ("taskedit validate - <&-", b"Standard input cannot be read"),
    ],
)
def test_a_stream_that_cannot_be_used_is_a_sentence_and_an_exit_code(
    line: str, sentence: bytes, tmp_path: Path
) -> None:
    (tmp_path / "edits.jsonl").write_text(a_line())

    done = shell(line, tmp_path)

    assert sentence in done.stderr
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr
    assert done.returncode in {1, 2}


def test_what_a_full_disk_cannot_take_of_the_failures_is_on_standard_error(
    tmp_path: Path,
) -> None:
    (tmp_path / "edits.jsonl").write_text(a_line(jobId=1, robotCount=0) + a_line(jobId=2))
    (tmp_path / "failures.jsonl").symlink_to("/dev/full")
    environ = {
        "TASKEDIT_API_KEY": "key",
        "TASKEDIT_API_SECRET": "a-secret",
        "TASKEDIT_API_URL": "http://127.0.0.1:1",
    }

    done = shell("taskedit apply --give-up-after 1s edits.jsonl", tmp_path, **environ)

    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    assert b"failures.jsonl cannot be written: No space left on device" in done.stderr
    kept = [json.loads(line) for line in done.stderr.splitlines() if line.startswith(b"{")]
    assert {one["edit"]["jobId"] for one in kept} == {1, 2}


def test_watch_ends_with_whoever_reads_it(
    environ: dict[str, str], topology: None, tmp_path: Path
) -> None:
    del topology
    watching = subprocess.Popen(
        (sys.executable, "-m", "worker", "watch", "--json", "--since", "1h"),
        env={"PATH": os.environ["PATH"], **environ},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert watching.stdout is not None
        watching.stdout.close()  # nothing is ever written: no event comes
        until(lambda: watching.poll() is not None, 30, "watch has not ended")
    finally:
        watching.kill()
        watching.wait()


NO_DESCRIPTORS = """
import resource
from worker.cli import streams

def command():
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    open("/etc/hostname")

streams.run(command)
"""


def test_where_no_descriptor_is_left_that_is_said_without_a_traceback() -> None:
    ended = subprocess.run(
        (sys.executable, "-c", NO_DESCRIPTORS), capture_output=True, text=True, check=False
    )
    assert ended.stderr == "/etc/hostname cannot be used: Too many open files.\n"
    assert ended.returncode == FAILED
