"""A publisher's count is the broker's: what is told of a publication is what became of that one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.acceptance.kit import connected
from worker.amqp.connection import KeptConnection
from worker.amqp.publisher import ConfirmedPublisher
from worker.core.message import ConfirmResult, Properties, Publication
from worker.loop import Loop

WITHIN = 30.0


def fates(url: str, publications: dict[str, Publication]) -> dict[str, ConfirmResult]:
    """What the publisher tells of each, published one after the other; nothing, of the missing."""
    loop = Loop()
    publisher = ConfirmedPublisher(loop)
    told: dict[str, ConfirmResult] = {}

    async def publish() -> None:
        said = [publisher.publish(each) for each in publications.values()]
        for name, each in zip(publications, said, strict=True):
            told[name] = await each
        await link.close()
        loop.stop()

    link = KeptConnection(
        loop,
        [url],
        "test",
        version="0",
        heartbeat=timedelta(seconds=5),
        serve=publisher.serve,
    )
    loop.post(link.open)
    loop.post(lambda: loop.spawn(publish()))
    loop.call_later(WITHIN, loop.stop)
    loop.run()
    return told


def to(queue: str, body: str) -> Publication:
    return Publication("", queue, body.encode(), Properties(message_id=body))


@pytest.mark.parametrize("bad", ["x" * 256, "\ud800"])
def test_one_that_cannot_be_written_is_refused_and_the_next_is_confirmed_as_itself(
    amqp_url: str, namespace: str, bad: str
) -> None:
    queue = f"{namespace}.queue"
    with connected(amqp_url) as channel:
        channel.queue_declare(queue)

    told = fates(
        amqp_url, {"one": to(queue, "one"), "bad": to(bad, "bad"), "two": to(queue, "two")}
    )

    assert told == {
        "one": ConfirmResult.CONFIRMED,
        "bad": ConfirmResult.REFUSED,
        "two": ConfirmResult.CONFIRMED,
    }


def test_a_name_that_is_no_utf_8_is_written_byte_for_byte_and_its_return_is_its_own(
    amqp_url: str, namespace: str
) -> None:
    name = f"{namespace}.".encode() + b"\xff\xfe"
    with connected(amqp_url) as channel:
        channel.queue_declare(namespace)
        channel.exchange_declare(namespace, "fanout")
        channel.queue_bind(namespace, namespace)
        key = name.decode(errors="surrogateescape")
        bound = Publication(namespace, key, b"bound", Properties())
        unbound = Publication("", key, b"unbound", Properties())

        assert fates(amqp_url, {"bound": bound, "unbound": unbound}) == {
            "bound": ConfirmResult.CONFIRMED,
            "unbound": ConfirmResult.UNROUTABLE,
        }
        method, _, body = channel.basic_get(namespace, auto_ack=True)
    key_read: Any = method and method.routing_key
    assert (key_read, body) == (name, b"bound")
