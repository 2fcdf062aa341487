"""Header tables against pika's own encoder and decoder, and against whatever bytes there are."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from struct import pack
from typing import Any

import pika.data
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from worker.core.headers import NO_HEADERS, Headers

NAMES = st.text(min_size=1, max_size=8)
SCALARS: st.SearchStrategy[Any] = st.one_of(
    st.text(max_size=8),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from(
        (True, None, b"\xff\x00", Decimal("-1.25"), datetime(2026, 11, 22, 8, tzinfo=UTC))
    ),
)
VALUES = st.one_of(
    SCALARS,
    st.lists(SCALARS, max_size=2),
    st.dictionaries(NAMES, st.lists(SCALARS, max_size=2), max_size=2),
)
TABLES = st.dictionaries(NAMES, VALUES, max_size=4)


def encoded(table: dict[str, Any]) -> Headers:
    """A table as pika writes it."""
    pieces: list[bytes] = []
    pika.data.encode_table(pieces, table)
    return Headers(b"".join(pieces)[4:])


def decoded(headers: Headers) -> dict[str, Any]:
    """Headers as pika reads them."""
    table, _ = pika.data.decode_table(pack(">I", len(headers.table)) + headers.table, 0)
    return {str(name): value for name, value in table.items()}


def as_text(value: object) -> str | None:
    match value:
        case bool():
            return None
        case str() | int():
            return str(value)
        case bytes():
            return value.decode(errors="surrogateescape")
        case _:
            return None


@given(table=TABLES)
@settings(max_examples=40)
def test_every_header_that_pika_writes_is_found_read_and_carried_on(table: dict[str, Any]) -> None:
    headers = encoded(table)

    assert [name for name, _ in headers] == list(table)
    assert headers.kept(without=frozenset(), prefix="NONE") == headers
    assert headers.merged({}) == headers
    for name, value in decoded(headers).items():
        assert headers.text(name) == as_text(value)


@given(texts=st.dictionaries(NAMES, st.text(max_size=40), max_size=5))
@settings(max_examples=20)
def test_a_table_of_texts_is_one_that_pika_can_read(texts: dict[str, str]) -> None:
    assert decoded(Headers.of(texts)) == texts


@given(rubbish=st.binary(max_size=60))
@example(rubbish=b"\x01\xffS\x00\x00\x00\x01x")
@settings(max_examples=100)
def test_whatever_the_bytes_nothing_raises_and_nothing_is_made_up(rubbish: bytes) -> None:
    headers = Headers(rubbish)

    found = list(headers)

    assert sum(1 + len(name.encode(errors="surrogateescape")) + len(v) for name, v in found) <= len(
        rubbish
    )
    for name, _ in found:
        headers.text(name)
        headers.tables(name)
    kept = headers.kept(without=frozenset(), prefix="x-")
    assert list(kept) == [field for field in found if not field[0].lower().startswith("x-")]


@given(table=TABLES, cut=st.integers(0, 200))
@settings(max_examples=30)
def test_of_a_table_that_ends_too_soon_the_whole_fields_are_kept(
    table: dict[str, Any], cut: int
) -> None:
    whole = encoded(table)
    fields = list(whole)

    found = list(Headers(whole.table[:cut]))

    assert found == fields[: len(found)]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"S\x00\x00\x00\x02hi", "hi"),
        (b"x\x00\x00\x00\x02hi", "hi"),
        (b"b\xff", "-1"),
        (b"B\xff", "255"),
        (b"s\xff\xfe", "-2"),
        (b"u\xff\xfe", "65534"),
        (b"I\xff\xff\xff\xff", "-1"),
        (b"i\xff\xff\xff\xff", "4294967295"),
        (b"l" + b"\xff" * 8, "-1"),
        (b"t\x01", None),
        (b"V", None),
        (b"T" + b"\x00\x00\x01\x9c" + b"\x00" * 4, None),
        (b"d" + b"\x00" * 8, None),
        (b"f" + b"\x00" * 4, None),
        (b"D" + b"\x00" * 5, None),
        (b"A\x00\x00\x00\x00", None),
        (b"F\x00\x00\x00\x00", None),
        (b"S\x00\x00\x00\x02\xff\xfe", "\udcff\udcfe"),
    ],
)
def test_each_type_of_value_has_its_length_and_perhaps_a_text(
    value: bytes, text: str | None
) -> None:
    headers = Headers(b"\x01k" + value + b"\x04nextS\x00\x00\x00\x00")

    assert list(headers) == [("k", value), ("next", b"S\x00\x00\x00\x00")]
    assert headers.text("k") == text


def nested(levels: int) -> bytes:
    """A table within a table, so many times, as the value of a field."""
    value = b"F\x00\x00\x00\x00"
    for _ in range(levels):
        inner = b"\x01k" + value
        value = b"F" + pack(">I", len(inner)) + inner
    return value


@pytest.mark.parametrize(
    "first",
    [b"\x01kT" + pack(">Q", 1_772_000_000_000), b"\x01k" + nested(500)],
    ids=["a timestamp in milliseconds", "tables nested 500 deep"],
)
def test_what_breaks_pikas_decoder_is_carried_and_does_not_hide_the_next(first: bytes) -> None:
    headers = Headers(first + b"\x02idS\x00\x00\x00\x017")

    assert headers.text("id") == "7"
    assert headers.text("k") is None
    assert headers.kept(without=frozenset(("id",)), prefix="x-").table == first


@pytest.mark.parametrize(
    ("has", "adds", "gives"),
    [
        ({}, {"a": "1"}, {"a": "1"}),
        ({"a": "0", "b": 2}, {"a": "1"}, {"b": 2, "a": "1"}),
        ({"b": [1, {"c": 2}]}, {"a": "é"}, {"b": [1, {"c": 2}], "a": "é"}),
        ({"b": True}, {}, {"b": True}),
    ],
)
def test_what_is_merged_in_wins_over_the_same_name(
    has: dict[str, Any], adds: dict[str, str], gives: dict[str, Any]
) -> None:
    assert decoded(encoded(has).merged(adds)) == gives


def test_the_same_name_twice_is_replaced_twice() -> None:
    twice = Headers(Headers.of({"a": "1"}).table * 2)

    assert decoded(twice.merged({"a": "2"})) == {"a": "2"}


@pytest.mark.parametrize(
    ("name", "stays"),
    [("x-death", False), ("X-Anything", False), ("CC", False), ("BCC", False), ("cc", True)],
)
def test_what_is_not_carried_is_left_out_by_name_or_by_prefix(name: str, *, stays: bool) -> None:
    headers = encoded({name: "1", "mine": "2"})

    kept = headers.kept(without=frozenset(("CC", "BCC")), prefix="x-")

    assert decoded(kept) == ({name: "1"} if stays else {}) | {"mine": "2"}


def test_a_list_of_tables_is_read_as_tables_and_anything_else_as_none() -> None:
    headers = encoded({"deaths": [{"queue": "q", "count": 3}, "no table", {"queue": "r"}]})

    found = headers.tables("deaths")

    assert [each.text("queue") for each in found] == ["q", "r"]
    assert found[0].text("count") == "3"
    assert encoded({"deaths": "text"}).tables("deaths") == ()
    assert encoded({"deaths": {"queue": "q"}}).tables("deaths") == ()
    assert NO_HEADERS.tables("deaths") == ()


def test_text_that_is_no_utf_8_goes_round_unchanged_in_names_and_is_marked_in_values() -> None:
    name = Headers(b"\x02\xff\xfeS\x00\x00\x00\x00")

    assert name.kept(without=frozenset(), prefix="x-") == name
    assert Headers.of({"k": "\udcff!"}).text("k") == "?!"
