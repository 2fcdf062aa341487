from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.unit.cli.called import taskedit


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell_calls_taskedit(shell: str) -> None:
    result = taskedit("completion", shell)
    assert result.exit_code == 0
    assert f"_TASKEDIT_COMPLETE={shell}_complete" in result.stdout


def test_another_shell_is_a_usage_error() -> None:
    assert taskedit("completion", "tcsh").exit_code == 2


@pytest.mark.parametrize(
    ("typed", "completed"),
    [("taskedit pub", "publish"), ("taskedit topology ", "export"), ("taskedit run -", "--help")],
)
def test_what_the_shell_asks_is_answered(typed: str, completed: str) -> None:
    words = typed.split(" ")
    asked = {
        "_TASKEDIT_COMPLETE": "bash_complete",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(words) - 1),
    }
    done = subprocess.run(
        [sys.executable, "-m", "worker"],
        env=os.environ | asked,
        capture_output=True,
        text=True,
        check=True,
    )
    assert completed in [line.partition(",")[2] for line in done.stdout.splitlines()]
