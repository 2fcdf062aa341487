from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.apply.feeder import FileEdit, file_edit
from worker.apply.results import UNSENT, Why, edit_in, failure_line

WHY = Why("api_rejected", 'a "detail"', "-33")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=3,
)


def line_of(body: bytes) -> bytes:
    return failure_line(FileEdit(1, "a.jsonl", 7, body, None, None), WHY)


@given(st.dictionaries(st.text(), JSON, max_size=3), st.sampled_from([None, 2]))
def test_an_edit_that_was_written_down_is_read_again(
    document: dict[str, object], indent: int | None
) -> None:
    body = json.dumps(document, indent=indent, ensure_ascii=False).encode(errors="surrogatepass")
    line = line_of(body)
    assert b"\n" not in line
    assert json.loads(edit_in(line).decode(errors="surrogatepass")) == document


def test_an_edit_in_one_line_stays_byte_for_byte() -> None:
    body = b'{"b": 1.0,  "a":"\\u00fc"}'
    assert edit_in(line_of(body)) == body
    assert json.loads(line_of(body)) == {
        "edit": {"b": 1.0, "a": "\u00fc"},
        "reason": "api_rejected",
        "detail": 'a "detail"',
        "apiStatus": "-33",
        "file": "a.jsonl",
        "line": 7,
    }


@pytest.mark.parametrize("body", [b"not json", b'{"a":', b"{} {}", b"", "ü".encode()])
def test_what_is_no_json_is_kept_as_a_text(body: bytes) -> None:
    assert edit_in(line_of(body)) == body
    assert json.loads(line_of(body))["edit"] == body.decode()


def test_what_is_not_even_text_is_kept_readable() -> None:
    assert edit_in(line_of(b"\xff\x00")) == b"\\xff\x00"


@pytest.mark.parametrize(
    "line",
    [b"", b"{}", b'{"edit":', b'{"edit":{}}', b'{"edit":{},"detail":"x"}', b'{"edit":\xff}'],
)
def test_any_other_line_is_left_as_it_is(line: bytes) -> None:
    assert edit_in(line) == line


def test_a_sheet_knows_its_job_and_app_as_far_as_they_can_be_read() -> None:
    good = file_edit(1, "a", 1, b'{"appId": "x", "jobId": 5}')
    assert (good.where, good.app_id, good.job) == ("a:1", "x", 5)
    assert (file_edit(1, "a", 1, b"?").app_id, file_edit(1, "a", 1, b"?").job) == (None, None)
    assert UNSENT.reason == "unsent"
