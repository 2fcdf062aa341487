from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.unit.cli.called import a_line, taskedit

if TYPE_CHECKING:
    from pathlib import Path


def test_good_edits_end_with_0_and_nothing_to_say(tmp_path: Path) -> None:
    file = tmp_path / "edits.jsonl"
    file.write_text(a_line(jobId=1) + a_line(jobId=2))
    result = taskedit("validate", file)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "2 good, 0 bad.\n"


def test_a_bad_edit_is_told_by_file_line_field_and_problem() -> None:
    stdin = a_line() + a_line(redialTimes=4, nme="x") + "{\n"
    result = taskedit("validate", "-", stdin=stdin)
    assert result.exit_code == 1
    told = result.stdout.splitlines()
    assert [line.split(": ")[0] for line in told] == ["-:2, redialTimes", "-:2, nme", "-:3"]
    assert "the nearest is name" in told[1]


def test_json_is_one_line_an_edit_in_the_form_of_the_contract() -> None:
    result = taskedit("validate", "-", "--json", stdin=a_line() + a_line(redialTimes=4) + "[]\n")
    good, invalid, malformed = map(json.loads, result.stdout.splitlines())
    assert result.exit_code == 1
    assert good == {"file": "-", "line": 1, "valid": True, "reason": None, "fields": []}
    assert (invalid["line"], invalid["valid"], invalid["reason"]) == (2, False, "invalid")
    assert [set(each) for each in invalid["fields"]] == [{"field", "problem"}]
    assert invalid["fields"][0]["field"] == "redialTimes"
    assert (malformed["line"], malformed["reason"]) == (3, "malformed")


def test_an_accounts_bounds_are_options() -> None:
    early = a_line(appId=None, dailyStartDateTime="08:00")
    assert taskedit("validate", "-", stdin=early).exit_code == 1
    bounds = ("--daily-window", "08:00-21:00", "--app-id", "APP1")
    assert taskedit("validate", "-", *bounds, stdin=early).exit_code == 0
    assert taskedit("validate", "-", *bounds, stdin=a_line(appId="OTHER")).exit_code == 1


def test_no_settings_are_needed_and_bad_ones_are_not_looked_at() -> None:
    bad = {"TASKEDIT_RATE": "fast", "TASKEDIT_ACCOUNTS_FILE": "/nowhere"}
    assert taskedit("validate", "-", stdin=a_line(), environ=bad).exit_code == 0


def test_what_cannot_be_used_is_a_usage_error(tmp_path: Path) -> None:
    for arguments in (
        (),
        (tmp_path / "absent.json",),
        (tmp_path,),
        ("-", "--zone", "Nowhere/Town"),
        ("-", "--daily-window", "20:00-09:00"),
    ):
        assert taskedit("validate", *arguments).exit_code == 2
