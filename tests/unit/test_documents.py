"""What the documents name is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

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
