from __future__ import annotations

from typing import TYPE_CHECKING

from schemas import json_schema
from tests.unit.cli.called import taskedit

if TYPE_CHECKING:
    from pathlib import Path


def test_the_schemas_are_written_and_their_paths_printed(tmp_path: Path) -> None:
    result = taskedit("schema", "export", tmp_path / "new" / "folder")
    assert result.exit_code == 0
    paths = result.stdout.splitlines()
    assert str(tmp_path / "new" / "folder" / "edit.json") in paths
    assert json_schema("edit")["title"] in (tmp_path / "new/folder/edit.json").read_text()


def test_a_folder_that_cannot_be_written_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = taskedit("schema", "export", tmp_path / "file" / "inside")
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr
