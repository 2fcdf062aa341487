"""Notes of lanes that were served before: where they lie, and what reading them changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.pipeline.former_lanes import FILE, SUPPOSED_AT_MOST, FormerLanes

if TYPE_CHECKING:
    from pathlib import Path


def test_notes_outlive_the_process(tmp_path: Path) -> None:
    FormerLanes(tmp_path).note({"acme": {"APP1"}})
    assert FormerLanes(tmp_path).keys == {"acme": {"APP1"}, "default": {"#"}}


def test_without_notes_each_lane_may_have_been_bound_by_what_is_anothers(tmp_path: Path) -> None:
    former = FormerLanes(tmp_path)
    former.note({"a": {"APP1"}, "b": {"APP2"}})
    assert FormerLanes(tmp_path).keys == former.keys
    assert former.keys == {"a": {"APP1", "APP2"}, "b": {"APP1", "APP2"}, "default": {"#"}}
    assert not former.unbound("a", "APP2"), "it was only supposed"
    former.note({"a": {"APP1"}, "b": {"APP2"}})
    assert FormerLanes(tmp_path).keys["a"] == {"APP1"}


def test_of_very_many_lanes_nothing_is_supposed(tmp_path: Path) -> None:
    many = {f"a{number}": {f"APP{number}"} for number in range(SUPPOSED_AT_MOST)}
    former = FormerLanes(tmp_path)
    former.note(many)
    assert former.keys == many | {"default": {"#"}}


def test_in_a_folder_that_others_can_write_theirs_are_not_believed(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    (tmp_path / FILE).write_text('{"theirs": ["APP1"]}')
    FormerLanes(tmp_path).note({"ours": {"APP1"}})
    assert FormerLanes(tmp_path).keys == {"ours": {"APP1"}, "default": {"#"}}


def test_who_only_reads_makes_no_folder(tmp_path: Path) -> None:
    assert FormerLanes(tmp_path / "none", make=False).keys == {"default": {"#"}}
    assert not (tmp_path / "none").exists()
