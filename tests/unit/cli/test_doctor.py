from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from tests.unit.cli.called import taskedit
from worker.cli import root

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def away(port: int, tmp_path: Path) -> dict[str, str]:
    """The settings of a worker whose RabbitMQ and API are not there."""
    return {
        "TASKEDIT_AMQP_URL": f"amqp://someone:a-secret@127.0.0.1:{port}/%2F",
        "TASKEDIT_API_URL": f"http://127.0.0.1:{port}/aivoice",
        "TASKEDIT_API_KEY": "key",
        "TASKEDIT_API_SECRET": "another-secret",
        "TASKEDIT_STATE_DIR": str(tmp_path / "state"),
        "TASKEDIT_OPS_ADDRESS": "127.0.0.1:0",
    }


def found(environ: dict[str, str]) -> tuple[int, dict[str, str]]:
    """The exit code, and the health of each check."""
    result = taskedit("doctor", "--json", environ=environ)
    checks = map(json.loads, result.stdout.splitlines())
    return result.exit_code, {check["check"]: check["health"] for check in checks}


def test_bad_settings_are_all_told_and_nothing_else_is_looked_at(away: dict[str, str]) -> None:
    bad = away | {"TASKEDIT_RATE": "fast", "TASKEDIT_API_SECRET": ""}
    result = taskedit("doctor", environ=bad)
    assert result.exit_code == 78
    lines = result.stdout.splitlines()
    assert [line.split()[:3] for line in lines if line.startswith("bad")] == [
        ["bad", "settings:", "TASKEDIT_RATE"],
        ["bad", "settings:", "TASKEDIT_API_SECRET"],
    ]
    assert not any("broker" in line for line in lines)


def test_what_is_absent_ends_with_69(away: dict[str, str], tmp_path: Path) -> None:
    code, checks = found(away)
    assert code == 69
    assert checks == {
        "settings": "good",
        "state folder": "good",
        "ops address": "good",
        "broker": "bad",
        "api": "bad",
        "account default": "unverified",
    }
    assert not (tmp_path / "state").exists()


def test_every_bad_check_has_the_command_that_mends_it(away: dict[str, str]) -> None:
    result = taskedit("doctor", "--json", environ=away)
    for check in map(json.loads, result.stdout.splitlines()):
        assert set(check) == {"check", "health", "says", "mend"}
        assert bool(check["mend"]) is (check["health"] == "bad")


def test_secrets_are_not_told(away: dict[str, str]) -> None:
    result = taskedit("doctor", environ=away)
    assert "a-secret" not in result.output
    assert "another-secret" not in result.output


@pytest.mark.parametrize(("no_color", "colored"), [("", True), ("1", False)])
def test_no_color_is_honoured_on_a_terminal_too(no_color: str, *, colored: bool) -> None:
    runner = CliRunner(env={"TASKEDIT_RATE": "fast", "NO_COLOR": no_color})
    result = runner.invoke(root, ["doctor"], color=True)
    assert result.exit_code == 78
    assert ("\x1b[" in result.stdout) is colored
