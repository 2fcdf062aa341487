"""Properties between pika's frames and ours; pika's own class is the oracle."""

from __future__ import annotations

from typing import Any

import pytest
from pika.spec import BasicProperties

from worker.amqp.codec import WireProperties
from worker.core.headers import Headers
from worker.core.message import Properties

FULL: dict[str, Any] = {
    "content_type": "application/json",
    "content_encoding": "identity",
    "headers": {"a": "text", "n": 7},
    "delivery_mode": 2,
    "priority": 3,
    "correlation_id": "c",
    "reply_to": "r",
    "expiration": "1000",
    "message_id": "m",
    "timestamp": 1_790_000_000,
    "type": "t",
    "user_id": "u",
    "app_id": "a",
}


@pytest.mark.parametrize("given", [FULL, {}, {"message_id": "m"}, {"headers": {"a": "b"}}])
def test_what_pika_writes_is_read_and_looks_as_pika_would_have_it(given: dict[str, Any]) -> None:
    encoded = b"".join(BasicProperties(**given).encode())
    read = WireProperties().decode(encoded)
    for name in FULL:
        assert getattr(read, name) == given.get(name)
    assert read.cluster_id is None
    assert b"".join(read.encode()) == encoded


def test_what_we_write_pika_reads() -> None:
    ours = Properties(message_id="m", delivery_mode=2, headers=Headers.of({"k": "v"}))
    theirs = BasicProperties().decode(b"".join(WireProperties(ours).encode()))
    assert (theirs.message_id, theirs.delivery_mode, theirs.headers) == ("m", 2, {"k": "v"})


def test_text_that_is_no_utf_8_is_handed_on_byte_for_byte() -> None:
    encoded = b"".join(BasicProperties(message_id=b"\xff\xfe").encode())  # type: ignore[arg-type]
    assert b"".join(WireProperties().decode(encoded).encode()) == encoded


def test_a_header_that_breaks_pikas_decoder_is_kept_unread() -> None:
    table = b"\x01t" + b"T" + (1_790_000_000_000).to_bytes(8, "big")
    given = Properties(headers=Headers(table))
    read = WireProperties().decode(b"".join(WireProperties(given).encode()))
    assert read.core.headers.table == table
    with pytest.raises((ValueError, OverflowError, OSError)):
        _ = read.headers


def test_an_unknown_attribute_is_none_of_its_own() -> None:
    with pytest.raises(AttributeError):
        _ = WireProperties().nonsense
