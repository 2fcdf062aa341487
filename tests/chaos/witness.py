"""What RabbitMQ shows of a run: outcomes as they come, and at the end the journal and letters."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from contextlib import contextmanager, suppress
from datetime import datetime
from threading import Event as Flag
from threading import Thread
from typing import TYPE_CHECKING
from uuid import uuid4

import pika
from pika.exceptions import AMQPError

from tests.chaos.broker import TROUBLE, connection
from tests.chaos.evidence import APPLIED, Event, Letter
from tests.chaos.names import DEAD, EVENTS, JOURNAL, WITNESS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tests.chaos.broker import Broker

_PREFETCH = 500
_TURN = 0.2
_PATIENCE = 60.0
"""Seconds without an event, while the journal is read."""


class Witness:
    """A subscriber on a thread of its own: which messages have an outcome so far."""

    def __init__(self, broker: Broker) -> None:
        self.events: dict[str, Event] = {}
        """By event id, the first of each."""
        self.seen: dict[str, float] = {}
        """By event id, when it was first seen, by the clock of this process."""
        self.outcomes: defaultdict[str, set[str]] = defaultdict(set)
        """By message id, the ids of its events."""
        self._broker = broker
        self._over = Flag()
        self._thread = Thread(target=self._run, name="witness", daemon=True)

    def start(self) -> None:
        """Bind a queue to the events, and follow it."""
        self.bind()
        self._thread.start()

    def bind(self) -> None:
        """Have a queue that the events go to; one of `TROUBLE` is raised when that fails."""
        with connection(self._broker) as joined:
            channel = joined.channel()
            channel.queue_declare(WITNESS, durable=True, arguments={"x-queue-type": "quorum"})
            channel.queue_bind(WITNESS, EVENTS, "#")

    def catch_up(self) -> None:
        """Note what went to the journal alone, while the queue was not bound."""
        for event in journal(self._broker):
            self._note(event)

    def stop(self) -> None:
        """Follow no more."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                with connection(self._broker) as joined:
                    self._follow(joined)
            except TROUBLE:
                self._over.wait(_TURN)

    def _follow(self, joined: pika.BlockingConnection) -> None:
        channel = joined.channel()
        channel.basic_qos(prefetch_count=_PREFETCH)
        channel.basic_consume(WITNESS, self._received)
        while not self._over.is_set() and channel.is_open:
            joined.process_data_events(_TURN)

    def _received(self, channel: Any, method: Any, _: object, body: bytes) -> None:  # noqa: ANN401
        self._note(_event(json.loads(body)))
        channel.basic_ack(method.delivery_tag)

    def _note(self, event: Event) -> None:
        if event.id not in self.events:
            self.events[event.id] = event
            self.seen[event.id] = time.time()
        self.outcomes[event.message_id].add(event.id)


def journal(broker: Broker) -> Iterator[Event]:
    """Every event in the journal, in its order."""
    marker = str(uuid4())
    with ended(connection(broker)) as joined:
        channel = joined.channel()
        channel.confirm_delivery()
        channel.basic_publish("", JOURNAL, b"", pika.BasicProperties(message_id=marker))
        channel.basic_qos(prefetch_count=_PREFETCH)
        deadline = time.monotonic() + _PATIENCE
        for method, properties, body in channel.consume(
            JOURNAL, arguments={"x-stream-offset": "first"}, inactivity_timeout=1.0
        ):
            if method is None or properties is None or body is None:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{JOURNAL} cannot be read to its end")
                continue
            channel.basic_ack(method.delivery_tag or 0)
            deadline = time.monotonic() + _PATIENCE
            if properties.message_id == marker:
                return
            found = json.loads(body) if body else {}
            if "data" in found:  # else it is a note that workers leave for each other
                yield _event(found)


@contextmanager
def ended(joined: pika.BlockingConnection) -> Iterator[pika.BlockingConnection]:
    """The connection, closed at the end whatever RabbitMQ thinks of it.

    pika nacks what it has read ahead of us, and a stream answers that with 540.
    """
    try:
        yield joined
    finally:
        with suppress(AMQPError):
            joined.close()


def _event(event: dict[str, Any]) -> Event:
    data = event["data"]
    return Event(
        event["id"],
        data["messageId"],
        APPLIED if data["outcome"] == APPLIED else data["reason"],
        datetime.fromisoformat(data["finishedAt"]).timestamp(),
    )


def letters(broker: Broker) -> Iterator[Letter]:
    """Every dead letter; they are taken out of the queue."""
    with connection(broker) as joined:
        channel = joined.channel()
        while True:
            method, properties, _ = channel.basic_get(DEAD, auto_ack=True)
            if method is None or properties is None:
                return
            reason = (properties.headers or {}).get("taskedit-reason")
            yield Letter(properties.message_id or "", str(reason))
