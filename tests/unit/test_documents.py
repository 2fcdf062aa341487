"""What the documents name is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ops.rabbitmq.ports import USUAL
from ops.sandbox.cli import first_edit

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path.relative_to(ROOT)
    for path in (
        *ROOT.glob("*.md"),
        *(ROOT / "ops").glob("*.md"),
        *(ROOT / "ops/docs").glob("*.md"),
        *(ROOT / "ops/decisions").glob("*.md"),
        ROOT / "worker/__init__.py",
    )
)
_CODE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_PATH = re.compile(r"`((?:worker|schemas|ops|tests)/[\w./-]*)`")
_LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#]+)[^)]*\)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_a_document_names_only_paths_that_exist(document: Path) -> None:
    text = _CODE.sub("", (ROOT / document).read_text())
    named = [ROOT / path for path in _PATH.findall(text)]
    linked = [(ROOT / document).parent / path for path in _LINK.findall(text)]
    assert [str(path) for path in named + linked if not path.exists()] == []


@pytest.mark.parametrize("folder", ["worker", "schemas", "ops", "tests"])
def test_nothing_refers_to_notes_outside_the_project(folder: str) -> None:
    alien = re.compile("shared" + r" notes|\.\./" + "shared/")
    sources = [*(ROOT / folder).rglob("*.py"), *(ROOT / folder).rglob("*.md")]
    ours = [path for path in sources if "node_modules" not in path.parts]
    assert [str(path) for path in ours if alien.search(path.read_text())] == []


def test_the_readmes_first_edit_is_the_one_that_the_sandbox_prints() -> None:
    said = (ROOT / "README.md").read_text()
    assert f"$ {first_edit(USUAL[1])}\n" in said


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_nothing_is_installed_by_a_name_that_an_index_would_have_to_know(document: Path) -> None:
    text = (ROOT / document).read_text()
    assert re.findall(r"pip install[^\n`]*task-edit-worker", text) == []
