"""What RabbitMQ says of each message that was published on one channel."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, cast

from pika.spec import Basic

from worker.settler import Fate

if TYPE_CHECKING:
    from pika.frame import Method
    from pika.spec import BasicProperties

    from worker.amqp.wire import WireProperties


class Confirms:
    """Joins confirms and returns to messages, each of which has an id of its own."""

    def __init__(self) -> None:
        self.fates: dict[str, Fate] = {}
        """What RabbitMQ said, by message id."""
        self.sent = 0
        self._unconfirmed: dict[int, str] = {}
        self._returned: set[str] = set()

    @property
    def open(self) -> int:
        """How many messages were published and are not confirmed yet."""
        return len(self._unconfirmed)

    def publish(self, message_id: str) -> None:
        """Note that this message is published now."""
        self.sent += 1
        self._unconfirmed[self.sent] = message_id

    def give_back(self, _: object, __: object, properties: BasicProperties, ___: bytes) -> None:
        """Note a return, which comes before its confirm; a callback of pika's."""
        self._returned.add(str(cast("WireProperties", properties).core.message_id))

    def confirm(self, frame: Method[Basic.Ack | Basic.Nack]) -> list[str]:
        """Note a confirm, of one message or of all up to one; their ids."""
        last = frame.method.delivery_tag
        tags = [last]
        if frame.method.multiple:
            tags = list(takewhile(lambda tag: tag <= last, self._unconfirmed))
        ids = [self._unconfirmed.pop(tag) for tag in tags]
        for message_id in ids:
            fate = Fate.UNROUTABLE if message_id in self._returned else Fate.CONFIRMED
            refused = isinstance(frame.method, Basic.Nack)
            self.fates[message_id] = Fate.REFUSED if refused else fate
        return ids
