from __future__ import annotations

import subprocess
import sys

import pytest

from tests.unit.cli.called import taskedit
from worker.cli import COMMANDS

HEAVY = ("pika", "requests", "pydantic", "structlog", "schemas")


def test_help_names_every_command_with_its_line() -> None:
    shown = taskedit("--help").stdout
    for name, line in COMMANDS.items():
        assert f"{name} " in shown
        assert line[:40] in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_every_row_of_the_table_is_a_command(name: str) -> None:
    result = taskedit(name, "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: taskedit {name}")


def test_where_the_sandbox_is_left_out_as_in_the_image_that_is_said() -> None:
    code = (
        "import sys; sys.modules['ops'] = None; sys.argv = ['taskedit', 'sandbox'];"
        "from worker.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=30
    )
    assert (done.returncode, done.stderr) == (
        69,
        "sandbox is not part of this installation; the wheel has it.\n",
    )


def test_the_version_is_the_distributions() -> None:
    assert taskedit("--version").stdout.startswith("taskedit, version ")


def test_an_unknown_command_is_a_usage_error() -> None:
    result = taskedit("runn")
    assert result.exit_code == 2
    assert "runn" in result.stderr


@pytest.mark.parametrize("call", [["--help"], ["--version"]])
def test_asking_for_help_imports_nothing_heavy(call: list[str]) -> None:
    code = f"""
import sys
from worker.cli import root
try:
    root({call!r}, prog_name="taskedit")
except SystemExit:
    print(*sorted(set(sys.modules) & set({HEAVY!r})), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.split() == []


def test_python_m_worker_is_taskedit() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "worker", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("taskedit, version ")


def test_bad_settings_end_the_worker_with_78_and_a_sentence_each() -> None:
    bad = {"TASKEDIT_API_KEY": "key", "TASKEDIT_API_SECRET": "", "TASKEDIT_RATE": "fast"}
    result = taskedit("run", environ=bad)
    assert result.exit_code == 78
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert [line.split()[0] for line in lines] == ["TASKEDIT_RATE", "TASKEDIT_API_SECRET"]
    assert all(line.endswith(".") for line in lines)
