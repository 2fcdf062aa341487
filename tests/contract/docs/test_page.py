"""AsyncAPI's own parser and renderer, on the contract as it is published."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests import npm

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "ops" / "docs"
CONTRACT = ROOT / "schemas" / "asyncapi.yaml"

pytestmark = pytest.mark.timeout(npm.INSTALL_SECONDS + 60)


def node(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["node", *arguments], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.fixture(autouse=True, scope="module")
def _packages() -> None:
    npm.install(DOCS)


def test_the_parser_has_nothing_against_it() -> None:
    checked = node(DOCS / "parsed.mjs", CONTRACT)

    assert (checked.returncode, checked.stderr) == (0, "")
    assert checked.stdout == "AsyncAPI 3.0.0: no error, no warning.\n"


@pytest.mark.parametrize(
    ("right", "wrong", "complaint"),
    [
        ("action: send", "action: publish", "error:"),
        ("action: receive", "action: subscribe", "error:"),
    ],
)
def test_the_parser_would_tell(right: str, wrong: str, complaint: str, tmp_path: Path) -> None:
    text = CONTRACT.read_text(encoding="utf-8")
    assert right in text
    (tmp_path / "bad.yaml").write_text(text.replace(right, wrong), encoding="utf-8")

    checked = node(DOCS / "parsed.mjs", tmp_path / "bad.yaml")

    assert checked.returncode == 1
    assert complaint in checked.stderr


def test_the_page_is_one_file_that_may_make_no_request(tmp_path: Path) -> None:
    page = tmp_path / "new" / "index.html"

    rendered = node(DOCS / "render.mjs", CONTRACT, page)

    assert (rendered.returncode, rendered.stderr) == (0, "")
    html = page.read_text(encoding="utf-8")
    assert [each.name for each in page.parent.iterdir()] == ["index.html"]
    assert "default-src 'none';" in html
    outside_scripts = re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL)
    assert html.count("</script>") == 3
    assert not re.search(r"\bsrc=|<link|url\(|@import", outside_scripts)
    assert "taskedit-reason" in html


def test_no_page_is_written_of_a_bad_document(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("asyncapi: 3.0.0\n", encoding="utf-8")

    rendered = node(DOCS / "render.mjs", tmp_path / "bad.yaml", tmp_path / "index.html")

    assert rendered.returncode == 1
    assert "error:" in rendered.stderr
    assert not (tmp_path / "index.html").exists()
