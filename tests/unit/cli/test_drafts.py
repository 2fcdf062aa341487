from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import Bounds, Malformed, Names, TaskEdit
from tests.unit.schemas.builders import body, edit
from worker.cli.drafts import Address, checked, drafts

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(st.text(), VALUES, max_size=4)
LAYOUTS = st.sampled_from([None, 0, 1, 4])


def bodies(file: str, content: bytes) -> list[Any]:
    found = list(drafts(file, content))
    assert [draft.flaw for draft in found] == [None] * len(found)
    return [json.loads(draft.body) for draft in found]


@given(edits=st.lists(OBJECTS), indent=LAYOUTS, ascii_only=st.booleans())
def test_a_list_is_taken_apart_however_it_is_laid_out(
    edits: list[Any], indent: int | None, *, ascii_only: bool
) -> None:
    content = json.dumps(edits, indent=indent, ensure_ascii=ascii_only)
    assert bodies("edits.json", content.encode("utf-8", "replace")) == [
        json.loads(json.dumps(edit, ensure_ascii=ascii_only).encode("utf-8", "replace"))
        for edit in edits
    ]


@given(edits=st.lists(OBJECTS, min_size=1), name=st.sampled_from(["edits.jsonl", "-", "x.json"]))
def test_json_lines_are_an_edit_a_line_whatever_the_file_is_called(
    edits: list[Any], name: str
) -> None:
    content = "\n".join(json.dumps(edit) for edit in edits)
    assert bodies(name, content.encode()) == edits


@given(edit=OBJECTS, indent=LAYOUTS)
def test_one_edit_is_one_draft_also_over_several_lines(
    edit: dict[str, Any], indent: int | None
) -> None:
    assert bodies("edit.json", json.dumps(edit, indent=indent).encode()) == [edit]


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b" \n\t\n", []),
        (b"[]", []),
        (b" [ ]\n", []),
        (b'\n\n{"a":1}', [3]),
        (b'{"a":1}\n\n{"a":2}\r\n', [1, 3]),
        (b'[{"a":1},\n\n{"a":2}]', [1, 3]),
        (b'[\n{"a":\n1}\n,\n{"a":2}\n]\n', [2, 5]),
        (b'\xef\xbb\xbf{"a":1}', [1]),
        (b'{"a":\n{"a":1}\n{"a":2}', [1, 2, 3]),  # lines, the first of them cut short
        (b'{\n  "a": 1\n', [1]),  # one edit over two lines, cut short
    ],
)
def test_a_draft_knows_the_line_it_begins_on(content: bytes, lines: list[int]) -> None:
    assert [draft.line for draft in drafts("-", content)] == lines


@pytest.mark.parametrize(
    ("content", "line", "said"),
    [
        (b'[{"a":1}\n', 2, "does not end"),
        (b'[{"a":1},\n{"a":2} {"a":3}]', 2, "no comma here"),
        (b'[{"a":1},\n{"a":]', 2, "not JSON: expecting value at line 2 column 6"),
        (b'[{"a":1},\n', 2, "not JSON: expecting value at line 2 column 1"),
        (b'[{"a":1}\n] x', 2, "does not end"),
        (b'[\n{"a":"\xff"}]', 2, "not UTF-8 at byte 8"),
        (b"[" * 100_000, 1, "nested too deep"),
    ],
)
def test_a_broken_list_gives_what_can_be_read_and_then_says_where_it_breaks(
    content: bytes, line: int, said: str
) -> None:
    *whole, last = drafts("edits.json", content)
    assert all(draft.flaw is None for draft in whole)
    assert last.line == line
    verdict = checked(last, Bounds())
    assert isinstance(verdict, Malformed)
    assert said in verdict.detail


def test_a_number_of_a_million_digits_is_one_bad_edit_and_not_the_end_of_the_file() -> None:
    content = b'[{"jobId":' + b"1" * 1_000_000 + b'},{"jobId":1}]'
    first, second = drafts("-", content)
    assert isinstance(checked(first, Bounds()), Malformed)
    assert second.body == b'{"jobId":1}'


@pytest.mark.parametrize(
    ("app_id", "key"),
    [
        ("LILIN888", "LILIN888"),
        ("应" * 85, "应" * 85),
        ("应" * 86, "_"),
        ("A" * 255, "A" * 255),
        ("A" * 256, "_"),
    ],
)
def test_an_app_id_that_no_routing_key_holds_is_published_by_the_one_for_such(
    app_id: str, key: str
) -> None:
    [draft] = drafts("edit.json", body(edit(appId=app_id)))
    found = checked(draft, Bounds())
    assert isinstance(found, TaskEdit)

    [addressed] = Address(Names(), Bounds()).addressed([(draft, found)])

    assert addressed.publication.routing_key == key
