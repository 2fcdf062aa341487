"""What careless or hostile publishers send; each edit has a job of its own: no order."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle, islice
from random import Random
from typing import TYPE_CHECKING, Any

import pika

from tests.acceptance.kit import edit
from tests.chaos.broker import TROUBLE, connection
from tests.chaos.evidence import APPLIED, Entry
from tests.chaos.names import APP, NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.chaos.stage import Stage

NO_TEXT: Any = b"\xff\xfe no UTF-8"
"""What pika takes for a name although it is none."""
FIRST_JOB = 1_000_000
_MESSAGES = 24


@dataclass(frozen=True, slots=True)
class _Sent:
    body: bytes
    expected: frozenset[str]
    name: str | None = None
    key: Any = APP
    properties: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class _OfPublishers:
    def cut(self, _: Stage) -> None:
        """Nothing is kept apart."""

    def mend(self, stage: Stage) -> None:
        """The messages stay where they are."""


@dataclass(frozen=True, slots=True)
class Hostile(_OfPublishers):
    """Good edits with names, properties and headers that nobody wants."""

    seed: int

    def strike(self, stage: Stage) -> None:
        """Publish them, in an order of their own."""
        chance = Random(self.seed)
        properties: list[dict[str, Any]] = [
            {"reply_to": NO_TEXT},
            {"correlation_id": NO_TEXT},
            {"content_encoding": NO_TEXT},
            {"type": NO_TEXT, "app_id": NO_TEXT},
            {"reply_to": "no-such-queue"},
            {"headers": {"long": "x" * 7800}},
            {"headers": {"deep": {"er": [{"and": [{"deeper": [1, None, b"\xff"]}]}]}}},
            {"headers": {"far": datetime(9999, 12, 31, tzinfo=UTC)}},
            {"headers": {"traceparent": "00-" + "z" * 90, "tracestate": b"\xff"}},
            {"headers": {"x-death": "no list", "taskedit-redrives": "-1"}},
            {"headers": {f"key-{number}": number for number in range(300)}},
        ]
        chance.shuffle(properties)
        first = FIRST_JOB + len(stage.extra)
        sent = []
        for job, changes in enumerate(islice(cycle(properties), _MESSAGES), first):
            name = f"hostile-{job}"
            body = json.dumps(edit(job, appId=APP, name=name)).encode()
            stray = chance.random() < 1 / 4
            sent.append(
                _Sent(
                    body,
                    frozenset({"unknown_app", APPLIED} if stray else {APPLIED}),
                    name,
                    key=NO_TEXT if stray else APP,
                    properties=tuple(changes.items()),
                )
            )
        publish(stage, sent)


@dataclass(frozen=True, slots=True)
class Flood(_OfPublishers):
    """So many invalid edits at once: big, and with a hundred unknown fields."""

    messages: int

    def strike(self, stage: Stage) -> None:
        """Publish them as fast as RabbitMQ confirms."""
        fields = {f"dialFlowIdentity{number}": "x" * 40 for number in range(100)}
        first = FIRST_JOB + len(stage.extra)
        invalid = frozenset({"invalid"})
        publish(
            stage,
            [
                _Sent(json.dumps(edit(job, appId=APP, **fields)).encode(), invalid)
                for job in range(first, first + self.messages)
            ],
        )


def publish(stage: Stage, messages: Iterable[_Sent]) -> None:
    """Publish with confirms, and write down; in trouble, leave the rest."""
    with suppress(*TROUBLE), connection(stage.broker) as joined:
        channel = joined.channel()
        channel.confirm_delivery()
        for one in messages:
            number, confirmed = FIRST_JOB + len(stage.extra), None
            message_id = f"x-{number}"
            properties = pika.BasicProperties(
                message_id=message_id, delivery_mode=2, **dict(one.properties)
            )
            try:
                channel.basic_publish(NAMESPACE, one.key, one.body, properties)
                confirmed = time.time()
            finally:
                entry = Entry(number, message_id, number, one.name, one.expected, confirmed)
                stage.extra.append(entry)
