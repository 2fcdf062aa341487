"""Hostile messages through the live broker: one dead letter each, and the good edits pass."""

from __future__ import annotations

import json
import struct
from collections import Counter
from typing import TYPE_CHECKING

import pika
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.acceptance.hostile import MILLISECONDS, Raw, corpus, field, nested, sized
from tests.acceptance.kit import connected, edit, until
from worker.amqp.codec import WireProperties

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from tests.acceptance.conftest import NewWorker
    from tests.acceptance.kit import Subscriber, WorkerProcess

GOOD = 200
HOSTILE = corpus()


def test_the_corpus_is_large_enough_and_no_two_are_alike() -> None:
    assert len(HOSTILE) >= 60
    assert len({one.name for one in HOSTILE}) == len(HOSTILE)
    assert len({one.body for one in HOSTILE}) == len(HOSTILE)


def test_each_hostile_message_is_dead_lettered_once_and_200_good_edits_pass(
    amqp_url: str,
    namespace: str,
    new_worker: NewWorker,
    events: Subscriber,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker = new_worker(APP_IDS="acme-app")
    with connected(amqp_url) as channel:
        channel.confirm_delivery()
        for number in range(GOOD):
            channel.basic_publish(namespace, "acme-app", *good(number))
            for one in HOSTILE[number::GOOD]:
                channel.basic_publish(namespace, "acme-app", one.body, one.properties)
    until(lambda: len(events.take()) >= GOOD + len(HOSTILE), 40)
    outcomes = Counter(event["data"]["outcome"] for event in events.events)
    assert outcomes == {"applied": GOOD, "rejected": len(HOSTILE)}
    monkeypatch.setitem(pika.spec.props, pika.spec.BasicProperties.INDEX, WireProperties)
    names = {one.body: one.name for one in HOSTILE}
    found = Counter(
        (names.get(body), reason) for reason, body in buried(amqp_url, f"{namespace}.dead")
    )
    assert found == Counter((one.name, one.reason) for one in HOSTILE)
    unharmed(worker)
    assert worker.lane()["waiting"] == 0


def unharmed(worker: WorkerProcess) -> None:
    """Fail if a connection was lost (but that for replies, which is there to be lost)."""
    lost = [line for line in worker.lines("connection_lost") if line["link"] != "reply"]
    assert not lost, "a message has cost us a connection"
    assert not worker.lines("decode_failed"), "a message was taken for a bug of ours"


def good(number: int) -> tuple[bytes, pika.BasicProperties]:
    """A good edit; each third has headers that break pika's own decoder."""
    body = json.dumps(edit(1 + number % 20, name=f"good {number}")).encode()
    table = {
        0: field(b"at", b"T", struct.pack(">Q", MILLISECONDS)),
        1: field(b"deep", b"F", nested(500)),
    }.get(number % 3, b"")
    return body, Raw(table, message_id=f"good-{number}")


def buried(url: str, queue: str) -> Iterator[tuple[str | None, bytes]]:
    """Reason and body of each dead letter; read as the worker reads, for pika itself cannot."""
    with connected(url) as channel:
        while True:
            method, properties, body = channel.basic_get(queue, auto_ack=True)
            if method is None or body is None:
                return
            assert isinstance(properties, WireProperties)
            yield properties.core.headers.text("taskedit-reason"), body


def array(values: list[tuple[int, bytes]]) -> bytes:
    return sized(b"".join(bytes((kind,)) + value for kind, value in values))


def table(fields: list[tuple[bytes, tuple[int, bytes]]]) -> bytes:
    return b"".join(field(name, bytes((kind,)), value) for name, (kind, value) in fields)


FINITE = st.floats(allow_nan=False, allow_infinity=False, width=32)
"""RabbitMQ itself closes the connection of whoever publishes another."""
SCALARS = st.one_of(
    *(
        st.tuples(st.just(kind), st.binary(min_size=size, max_size=size))
        for kind, size in zip(b"tbBsuIilLDTV", (1, 1, 1, 2, 2, 4, 4, 8, 8, 5, 8, 0), strict=True)
    ),
    st.tuples(st.just(ord("S")), st.binary(max_size=300).map(sized)),
    st.tuples(st.just(ord("x")), st.binary(max_size=30).map(sized)),
    st.tuples(st.just(ord("f")), FINITE.map(lambda number: struct.pack(">f", number))),
)
VALUES = st.recursive(
    SCALARS,
    lambda values: st.one_of(
        st.lists(values, max_size=4).map(lambda found: (ord("A"), array(found))),
        st.lists(st.tuples(st.binary(max_size=30), values), max_size=4).map(
            lambda found: (ord("F"), sized(table(found)))
        ),
    ),
    max_leaves=8,
)
TABLES = st.lists(st.tuples(st.binary(max_size=40), VALUES), max_size=5).map(table)
TEXTS = st.none() | st.text(max_size=60)
BODIES = st.one_of(
    st.binary(max_size=200),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
        max_leaves=12,
    ).map(lambda found: json.dumps(found).encode()),
    st.dictionaries(
        st.sampled_from(sorted(edit())),
        st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.just([]),
        max_size=3,
    ).map(lambda changes: json.dumps(edit() | changes).encode()),
)
MESSAGES = st.builds(
    lambda body, headers, **texts: (body, Raw(headers, **texts)),
    BODIES,
    TABLES,
    message_id=TEXTS,
    correlation_id=TEXTS,
    content_type=TEXTS | st.sampled_from(["application/json", "application/cloudevents+json"]),
    type=TEXTS,
    timestamp=st.none() | st.integers(0, 2**64 - 1),
)


def test_whatever_comes_over_the_wire_is_settled_once(
    amqp_url: str, namespace: str, new_worker: NewWorker, events: Subscriber
) -> None:
    worker = new_worker()
    taken = 0

    @settings(max_examples=12, suppress_health_check=list(HealthCheck))
    @given(st.lists(MESSAGES, min_size=5, max_size=30))
    def each(messages: list[tuple[bytes, pika.BasicProperties]]) -> None:
        nonlocal taken
        for body, properties in messages:
            with connected(amqp_url) as channel:
                channel.confirm_delivery()
                channel.basic_publish(namespace, "acme-app", body, properties)
            taken += 1
        until(lambda: len(events.take()) >= taken)

    each()
    assert len(events.take()) == taken
    unharmed(worker)
