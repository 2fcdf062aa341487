from __future__ import annotations

import ast
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from jinja2.ext import GETTEXT_FUNCTIONS, babel_extract

import worker.console
from worker.console import wording
from worker.console.rendering import LANGUAGES, translations
from worker.core.judge import MEANINGS

if TYPE_CHECKING:
    from babel.messages.catalog import Catalog

FOLDER = Path(worker.console.__file__).parent
TRANSLATED = sorted(set(LANGUAGES) - {"en"})
_PLACE = re.compile(r"%\(\w+\)s|</?\w+>")


def messages() -> set[str | tuple[str, str]]:
    """Every text that a page may say, as the templates and the tables of words have it."""
    found: set[str | tuple[str, str]] = set(MEANINGS.values())
    for template in (FOLDER / "templates").glob("*.html"):
        for _, _, text, _ in babel_extract(
            io.BytesIO(template.read_bytes()), GETTEXT_FUNCTIONS, [], {"trimmed": "true"}
        ):
            if isinstance(text, tuple):
                found.add((str(text[0]), str(text[1])))
            elif text is not None:
                found.add(text)
    marked = ast.walk(ast.parse((FOLDER / "wording.py").read_text()))
    for node in (each for each in marked if isinstance(each, ast.Call)):
        if isinstance(node.func, ast.Name) and node.func.id == "N_":
            found.add(ast.literal_eval(node.args[0]))
    return found


def catalogue(language: str) -> Catalog:
    with (FOLDER / "locale" / language / "LC_MESSAGES" / "console.po").open("rb") as file:
        return read_po(file)


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_text_is_translated_and_no_other(language: str) -> None:
    found = catalogue(language)

    assert {each.id for each in found if each.id} == messages()
    assert [each.id for each in found if each.id and (not each.string or each.fuzzy)] == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_translation_has_the_places_of_its_text(language: str) -> None:
    for each in catalogue(language):
        text = each.id[-1] if isinstance(each.id, (tuple, list)) else each.id
        said = each.string[-1] if isinstance(each.string, (tuple, list)) else each.string or ""
        if text:
            assert set(_PLACE.findall(text)) == set(_PLACE.findall(said)), text


@pytest.mark.parametrize("language", TRANSLATED)
def test_what_is_shipped_was_made_from_the_catalogue(language: str) -> None:
    made = io.BytesIO()
    write_mo(made, catalogue(language))

    shipped = FOLDER / "locale" / language / "LC_MESSAGES" / "console.mo"
    assert shipped.read_bytes() == made.getvalue(), "make translations"


@pytest.mark.parametrize(
    ("name", "value", "english", "chinese"),
    [
        ("sent", "12", "sent 12", "已发送 12"),
        ("stopped", "stopped", "stopped by hand", "已停止 人工"),
        ("stopped", "3 of 5 were not applied", None, "已停止 5 条中有 3 条未生效"),
        (
            "stopped",
            "2 outcomes did not come: are the worker and its lane running?",
            None,
            "已停止 有 2 个结果没有到达：工作进程及其队列是否在运行？",  # noqa: RUF001 (Chinese)
        ),
        ("failed", "%(n)s <b>", None, "失败 %(n)s <b>"),
        ("anybody's name", "x", None, "anybody's name x"),
    ],
)
def test_what_came_of_an_operation_is_worded(
    name: str, value: str, english: str | None, chinese: str
) -> None:
    said = [
        " ".join(wording.named(name, value, translations(language).gettext))
        for language in ("en", "zh")
    ]
    assert said == [english or f"{name} {value}", chinese]


@pytest.mark.parametrize("text", ["{} of {} were not applied", "{} outcomes did not come: are"])
def test_the_ends_that_are_worded_are_those_that_a_redrive_has(text: str) -> None:
    code = (FOLDER.parent / "deadletters" / "redrive.py").read_text()

    assert text in re.sub(r"{[^}]+}", "{}", code)


def runbook_rows(heading: str) -> dict[str, list[str]]:
    """The first cells of a table of the runbook, by what stands in code in the first."""
    text = (Path(__file__).parents[3] / "ops" / "runbook.md").read_text()
    section = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    cells = [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in section.splitlines()
        if line.startswith("| `")
    ]
    return {row[0].strip("| `"): row for row in cells}


def test_the_runbook_means_the_same_by_each_status() -> None:
    rows = runbook_rows("Statuses")

    for status, meaning in MEANINGS.items():
        assert rows[status][1] == meaning, status
        if rows[status][2].startswith("suspends"):
            assert wording.remedy(status) != wording.remedy("unheard of"), status
