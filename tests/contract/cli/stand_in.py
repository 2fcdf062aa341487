"""A stand-in of the worker: takes edits from a lane and says what became of them."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Event, Thread
from typing import TYPE_CHECKING
from uuid import uuid4

import pika

from schemas import Names, Reason, encode, event_key, read
from worker.amqp import codec
from worker.amqp.codec import WireProperties

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pika.adapters.blocking_connection import BlockingChannel


@contextmanager
def stand_in(
    url: str, names: Names, account: str = "default", *, rejects: Callable[[int], bool]
) -> Iterator[None]:
    """Apply the edits of a lane in a thread of its own, but for the jobs that it rejects."""
    over = Event()

    def work() -> None:
        with pika.BlockingConnection(pika.URLParameters(url)) as connection:
            channel = connection.channel()
            for _, properties, body in channel.consume(
                names.lane(account), auto_ack=True, inactivity_timeout=0.05
            ):
                if body is not None:
                    _settle(channel, names, properties, body, rejects)
                if over.is_set():
                    break

    codec.install()
    thread = Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _settle(
    channel: BlockingChannel,
    names: Names,
    properties: object,
    body: bytes,
    rejects: Callable[[int], bool],
) -> None:
    assert isinstance(properties, WireProperties)
    edit, now = read(body), datetime.now(UTC)
    assert isinstance(edit, dict)
    rejected = rejects(edit["jobId"])
    event = encode(
        event_id=str(uuid4()),
        outcome="rejected" if rejected else "applied",
        message_id=properties.core.message_id,
        correlation_id=None,
        account="default",
        app_id=edit["appId"],
        job_id=edit["jobId"],
        attempts=1,
        received_at=now,
        finished_at=now,
        reason=Reason.API_REJECTED if rejected else None,
        detail="the API answered -33 (name already exists)" if rejected else None,
        api_status="-33" if rejected else "0",
    )
    channel.basic_publish(
        names.events,
        event_key("rejected" if rejected else "applied", edit["appId"]),
        event,
        pika.BasicProperties(correlation_id=properties.core.message_id),
    )
