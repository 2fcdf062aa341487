from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.builders import NOW, delivery
from tests.unit.deadletters.dead import ended
from worker.core.headers import NO_HEADERS, Headers
from worker.core.message import Delivery, Properties
from worker.deadletters.serialization import fields_of, letter_in, letter_line

SHORT = st.one_of(
    st.none(),
    st.binary(max_size=255).map(lambda raw: raw.decode("utf-8", "surrogateescape")),
)
STRING = st.binary(max_size=300).map(lambda raw: b"S" + len(raw).to_bytes(4, "big") + raw)
VALUE = st.one_of(
    STRING, st.just(b"V"), st.binary(min_size=8, max_size=8).map(lambda raw: b"l" + raw)
)
NAME = st.binary(min_size=1, max_size=60).filter(lambda raw: raw[:2].lower() != b"x-")


@st.composite
def tables(draw: st.DrawFn) -> Headers:
    """Header tables in the order of their names, as RabbitMQ hands them out."""
    found = draw(st.dictionaries(NAME, VALUE, max_size=5))
    fields = (bytes((len(name),)) + name + found[name] for name in sorted(found))
    return Headers(b"".join(fields))


PROPERTIES = st.builds(
    Properties,
    content_type=SHORT,
    content_encoding=SHORT,
    headers=tables(),
    delivery_mode=st.sampled_from([None, 1, 2]),
    priority=st.one_of(st.none(), st.integers(0, 255)),
    correlation_id=SHORT,
    reply_to=SHORT,
    message_id=SHORT,
    timestamp=st.one_of(st.none(), st.integers(0, 2**64 - 1)),
    type=SHORT,
    app_id=SHORT,
)
TEXT = st.text(max_size=50).map(str.encode)


@given(PROPERTIES, st.one_of(TEXT, st.binary(max_size=50)), st.text(max_size=20))
def test_what_is_exported_is_imported_the_same(
    properties: Properties, body: bytes, key: str
) -> None:
    written = letter_line(Delivery(1, "task-edit.dead", key, False, properties, body, NOW))
    assert written.isascii()
    assert "\n" not in written
    found = letter_in(written, "task-edit.dead")
    assert not isinstance(found, str), found
    assert (found.exchange, found.routing_key, found.body) == ("task-edit.dead", key, body)
    assert found.properties == properties


def test_a_line_is_made_to_be_read_and_mended() -> None:
    fields = fields_of(ended().dead)
    assert json.loads(fields["body"])["jobId"] == 123
    assert fields["headers"]["taskedit-reason"] == "api_rejected"
    assert not {"headersBase64", "bodyBase64"} & fields.keys()


def test_what_rabbitmq_adds_when_it_hands_a_letter_out_again_is_left_out() -> None:
    dead = ended().dead
    more = Headers(b"\x10x-delivery-countI\x00\x00\x00\x07" + dead.properties.headers.table)
    again = replace(dead, properties=replace(dead.properties, headers=more))
    assert letter_line(again) == letter_line(dead)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "It is not JSON"),
        ("[" * 100_000, "It is not JSON"),
        ("[]", "It is not a JSON object."),
        ('{"body": "", "bodi": ""}', "bodi is no field of a letter."),
        ("{}", "body is missing, or no text."),
        ('{"body": "\\ud800"}', "body has half of a surrogate pair"),
        ('{"bodyBase64": "?"}', "bodyBase64 is no base64."),
        ('{"body": "", "routingKey": 7}', "routingKey is no text of at most 255 bytes."),
        ('{"body": "", "properties": []}', "properties is no JSON object."),
        ('{"body": "", "properties": {"headers": {}}}', "headers is no property of a message."),
        ('{"body": "", "properties": {"priority": 256}}', "priority is no whole number"),
        ('{"body": "", "properties": {"priority": true}}', "priority is no whole number"),
        ('{"body": "", "properties": {"type": "' + "x" * 256 + '"}}', "type is no text"),
        ('{"body": "", "headers": {"a": 7}}', "headers is no JSON object of texts."),
        ('{"body": "", "headersBase64": "?"}', "headersBase64 is no base64."),
    ],
)
def test_a_line_that_is_no_letter_is_told_of_in_a_sentence(text: str, says: str) -> None:
    found = letter_in(text, "task-edit.dead")
    assert isinstance(found, str)
    assert found.startswith(says)


def test_a_message_without_headers_has_none_again() -> None:
    bare = delivery(b"", properties=Properties())
    found = letter_in(letter_line(bare), "task-edit.dead")
    assert not isinstance(found, str)
    assert found.properties.headers == NO_HEADERS
