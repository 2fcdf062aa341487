"""What the peers with threads share: a session of requests for each thread, and pika's form."""

from __future__ import annotations

from threading import local
from typing import TYPE_CHECKING

import pika
import requests

from tests.bench.peers.work import TIMEOUT

if TYPE_CHECKING:
    from tests.bench.peers.work import Event


class Sessions(local):
    """A `requests.Session` for each thread, as requests advises, with connections kept.

    `trust_env` is off, which spares it a look at the environment and at ~/.netrc for each call
    (https://requests.readthedocs.io/en/latest/api/#requests.Session.trust_env).
    """

    def __init__(self) -> None:
        self.session = requests.Session()
        self.session.trust_env = False

    def posted(self, url: str, body: bytes, headers: dict[str, str]) -> bytes:
        """The body of the reply; raises for any status but 2xx."""
        reply = self.session.post(url, data=body, headers=headers, timeout=TIMEOUT)
        reply.raise_for_status()
        return reply.content


def properties(event: Event) -> pika.BasicProperties:
    """An event's properties for pika."""
    return pika.BasicProperties(
        content_type=event.content_type,
        delivery_mode=pika.DeliveryMode.Persistent,
        message_id=event.event_id,
        type=event.type,
    )
