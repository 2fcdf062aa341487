from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from schemas import Malformed, read
from schemas.document import BODY_BYTES_AT_MOST, LEVELS_AT_MOST


def nested(levels: int) -> bytes:
    return b'{"a":' * (levels - 1) + b"{}" + b"}" * (levels - 1)


def padded(size: int) -> bytes:
    empty = len(b'{"a": ""}')
    return b'{"a": "' + b"x" * (size - empty) + b'"}'


@pytest.mark.parametrize(
    ("body", "document"),
    [
        (b"{}", {}),
        (b' \r\n\t{"a": 1} \n', {"a": 1}),
        (b'{"a": [1, -2, 1.5, 1e3, true, null, "x"]}', {"a": [1, -2, 1.5, 1e3, True, None, "x"]}),
        ('{"name": "秋季"}'.encode(), {"name": "秋季"}),
        (rb'{"name": "\u79cb\ud83d\ude00"}', {"name": "秋😀"}),
        (rb'{"name": "\\ud83d"}', {"name": r"\ud83d"}),
        (b'{"a": {"x": 1}, "b": {"x": 1}}', {"a": {"x": 1}, "b": {"x": 1}}),
        (b'{"": 1}', {"": 1}),
        (b'{"a": ' + b"9" * 400 + b"}", {"a": int("9" * 400)}),
    ],
)
def test_an_object_is_read_as_it_is(body: bytes, document: dict[str, Any]) -> None:
    assert read(body) == document


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "The body is empty."),
        (b"  \n", "The body is not JSON: expecting value at line 2 column 1."),
        (b"\xef\xbb\xbf{}", "The body starts with a byte order mark; leave it out."),
        (b'{"a": "\xff"}', "The body is not UTF-8 at byte 7."),
        ('{"a": 1}'.encode("utf-16"), "The body is not UTF-8 at byte 0."),
        (b'{"a": "\xed\xa0\x80"}', "The body is not UTF-8 at byte 7."),
        (b'{"a": \xc0\xaf}', "The body is not UTF-8 at byte 6."),
        (b"hello", "The body is not JSON: expecting value at line 1 column 1."),
        (b'{"a": 1', "The body is not JSON: expecting ',' delimiter at line 1 column 8."),
        (b'{"a": 1} {}', "The body is not JSON: extra data at line 1 column 10."),
        (b'{"a": 01}', "The body is not JSON: expecting ',' delimiter at line 1 column 8."),
        (b'{"a": "\x00"}', "The body is not JSON: invalid control character at line 1 column 8."),
        (b'{"a": 1}\x00', "The body is not JSON: extra data at line 1 column 9."),
        (b"null", "The body is null, not a JSON object."),
        (b"true", "The body is true or false, not a JSON object."),
        (b"17", "The body is a whole number, not a JSON object."),
        (b'"edit"', "The body is text, not a JSON object."),
        (b"[{}]", "The body is a list, not a JSON object."),
        (b'{"a": 1, "a": 1}', 'The body has the key "a" more than once.'),
        (b'{"x": [{"a": 1, "b": 2, "b": 3}]}', 'The body has the key "b" more than once.'),
        (rb'{"a": 1, "\u0061": 1}', 'The body has the key "a" more than once.'),
        (b'{"a": NaN}', "The body has NaN, which is not JSON."),
        (b'{"a": [Infinity]}', "The body has Infinity, which is not JSON."),
        (b'{"a": -Infinity}', "The body has -Infinity, which is not JSON."),
        (rb'{"a": "\ud83d"}', "The body has half of a surrogate pair, which is no text."),
        (rb'{"a": "\uDE00\uD83D"}', "The body has half of a surrogate pair, which is no text."),
        (rb'{"\udfff": 1}', "The body has half of a surrogate pair, which is no text."),
        (rb'{"a": [{"b": "\udabc"}]}', "The body has half of a surrogate pair, which is no text."),
        (b'{"a": ' + b"9" * 5000 + b"}", "The body has a number with far too many digits."),
        (b"9" * 60_000, "The body has a number with far too many digits."),
        (nested(LEVELS_AT_MOST + 1), "The body is nested deeper than 32 levels."),
        (b"[" * 30_000 + b"]" * 30_000, "The body is nested deeper than 32 levels."),
        (b"[" * 50_000, "The body is nested deeper than 32 levels."),
        (padded(BODY_BYTES_AT_MOST + 1), "The body has more than 65536 bytes."),
    ],
    ids=lambda value: f"{len(value)} bytes {value[:30]!r}" if isinstance(value, bytes) else None,
)
def test_what_cannot_be_read_says_why(body: bytes, detail: str) -> None:
    assert read(body) == Malformed(detail)


def test_64_kib_and_32_levels_are_still_read() -> None:
    assert isinstance(read(padded(BODY_BYTES_AT_MOST)), dict)
    assert isinstance(read(nested(LEVELS_AT_MOST)), dict)


def test_brackets_within_texts_and_side_by_side_are_not_depth() -> None:
    wide = {"a": [[] for _ in range(500)], "b": "[" * 500 + "{" * 500}

    assert read(json.dumps(wide).encode()) == wide


@pytest.mark.parametrize("levels", [33, 100, 500, 990, 1000, 5000])
def test_depth_is_told_the_same_however_deep(levels: int) -> None:
    limit = sys.getrecursionlimit()

    assert read(nested(levels)) == Malformed("The body is nested deeper than 32 levels.")
    assert sys.getrecursionlimit() == limit


def test_a_hostile_key_is_shown_short_and_harmless() -> None:
    key = "\x1b[31m" + "k" * 10_000
    found = read(('{"%s": 1, "%s": 2}' % ((json.dumps(key)[1:-1],) * 2)).encode())

    assert isinstance(found, Malformed)
    assert len(found.detail) < 100
    assert found.detail.isprintable()


def test_values_are_never_quoted() -> None:
    for body in (b'{"a": "s3cret", "a": "s3cret"}', b'{"a": s3cret}', b'"s3cret"', b'{"s3cret'):
        found = read(body)
        assert isinstance(found, Malformed)
        assert "s3cret" not in found.detail
