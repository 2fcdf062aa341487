"""Notes of lanes that were served before: where they lie, and what reading them changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.pipeline.former_lanes import FILE, FormerLanes

if TYPE_CHECKING:
    from pathlib import Path


def test_notes_outlive_the_process(tmp_path: Path) -> None:
    FormerLanes(tmp_path).note({"acme": {"APP1"}})
    assert FormerLanes(tmp_path).keys == {"acme": {"APP1"}, "default": {"#"}}


def test_in_a_folder_that_others_can_write_theirs_are_not_believed(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    (tmp_path / FILE).write_text('{"theirs": ["APP1"]}')
    FormerLanes(tmp_path).note({"ours": {"APP1"}})
    assert FormerLanes(tmp_path).keys == {"ours": {"APP1"}, "default": {"#"}}


def test_who_only_reads_makes_no_folder(tmp_path: Path) -> None:
    assert FormerLanes(tmp_path / "none", make=False).keys == {"default": {"#"}}
    assert not (tmp_path / "none").exists()
