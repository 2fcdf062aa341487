"""The outside ledger: publishes edits, and writes down what RabbitMQ confirmed."""

from __future__ import annotations

import time
from random import Random
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

import pika

from tests.chaos.broker import TROUBLE, connection
from tests.chaos.draft import draft
from tests.chaos.evidence import Entry
from tests.chaos.names import NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Callable

    from pika.adapters.blocking_connection import BlockingChannel

    from tests.chaos.broker import Broker
    from tests.chaos.draft import Draft

_AGAIN_ONE_IN = 50
"""How often a message of before is published a second time, as publishers do after trouble."""
_RECONNECT_IN = 0.3


class Ledger:
    """A publisher on a thread of its own, with a confirm for each message, straight to RabbitMQ.

    A message whose confirm was never heard is noted as such and not published again: it may be
    in the queue or not.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        seed: int,
        rate: float,
        jobs: int,
        room: Callable[[], bool],
    ) -> None:
        """`rate`: messages a second; `room`: whether to go on, asked before each."""
        self.entries: list[Entry] = []
        self._broker = broker
        self._chance = Random(f"ledger {seed}")
        self._interval = 1 / rate
        self._jobs = jobs
        self._room = room
        self._drafts: dict[str, Draft] = {}
        self._silent: set[str] = set()
        self._once: set[str] = set()
        self._publishing = Lock()
        self._over = Event()
        self._thread = Thread(target=self._run, name="ledger", daemon=True)

    def start(self) -> None:
        """Begin to publish."""
        self._thread.start()

    def stop(self) -> None:
        """Publish no more; the last confirm has come or will not."""
        self._over.set()
        self._thread.join()

    def silence(self, app: str) -> None:
        """Publish nothing of that app; once this returns, nothing of it is on its way."""
        self._silent.add(app)
        with self._publishing:
            pass

    def speak(self, app: str) -> None:
        """Publish of that app again."""
        self._silent.discard(app)

    def publish_once(self, app: str) -> None:
        """Publish nothing of the app again: two accounts might call two copies at once."""
        self._once.add(app)

    def publish_again(self, app: str) -> None:
        """Publish messages of the app again now and then, earlier ones as well."""
        self._once.discard(app)

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                joined = connection(self._broker)
            except TROUBLE:
                self._over.wait(_RECONNECT_IN)
                continue
            try:
                channel = joined.channel()
                channel.confirm_delivery()
                self._publish_on(channel)
                joined.close()
            except TROUBLE:
                self._over.wait(_RECONNECT_IN)

    def _publish_on(self, channel: BlockingChannel) -> None:
        due = time.monotonic()
        while not self._over.is_set():
            due = max(due, time.monotonic() - 1) + self._interval
            channel.connection.sleep(max(0.0, due - time.monotonic()))
            if self._room():
                with self._publishing:
                    self._publish_one(channel)

    def _publish_one(self, channel: BlockingChannel) -> None:
        number = len(self.entries)
        silent = frozenset(self._silent)
        known = [
            entry
            for entry in self.entries[-200:]
            if entry.confirmed and not entry.again and entry.app not in silent | self._once
        ]
        again = bool(known) and self._chance.randrange(_AGAIN_ONE_IN) == 0
        message_id = self._chance.choice(known).message_id if again else f"m-{number}"
        one = self._drafts.setdefault(message_id, draft(self._chance, number, self._jobs, silent))
        confirmed = None
        try:
            channel.basic_publish(
                NAMESPACE,
                one.app,
                one.body,
                pika.BasicProperties(message_id=message_id, delivery_mode=2),
                mandatory=True,
            )
            confirmed = time.time()
        finally:
            self.entries.append(
                Entry(
                    number,
                    message_id,
                    one.job,
                    one.name,
                    one.expected,
                    confirmed,
                    again,
                    one.app,
                )
            )
