"""Who takes part: how each is started, what its messages look like, what it consumes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pika

from tests.bench.queues import PLAIN_QUORUM, Message, surroundings
from worker.amqp.topology import Binding, Queue, lane_arguments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from schemas import Names
    from worker.amqp.topology import Object

KEY, SECRET = "bDqJFiq9", "7bz1lzh9"
APP = "LILIN888"
JOBS = 10_000
"""So many that no two edits of a job are in flight together."""


def edit(number: int, *, jobs: int = JOBS, size: int = 0, app: str = APP) -> dict[str, Any]:
    """The provider's own example of an edit, for another job each; `size`: bytes of JSON at least.

    A larger one has a longer name, the only text without a bound.
    """
    fields: dict[str, Any] = {
        "appId": app,
        "jobId": 1 + number % jobs,
        "name": "lilinname2",
        "dialogFlowId": 8663,
        "mode": "AUTO",
        "dailyStartDateTime": "09:00",
        "dailyEndDateTime": "20:00",
        "robotCount": 1,
        "jobPhoneNumberId": 2959,
        "redial": False,
        "startDateTime": "2022-09-16 08:00:00",
        "endDateTime": "2023-02-07 10:00:00",
    }
    missing = size - len(json.dumps(fields))
    if missing > 0:
        fields["name"] += "x" * missing
    return fields


def plain_message(fields: dict[str, Any], message_id: str, _: str) -> Message:
    """The edit as it is."""
    properties = pika.BasicProperties(
        content_type="application/json", delivery_mode=2, message_id=message_id
    )
    return json.dumps(fields).encode(), properties


def celery_message(fields: dict[str, Any], message_id: str, _: str) -> Message:
    """A task of Celery: https://docs.celeryq.dev/en/stable/internals/protocol.html#version-2."""
    body = json.dumps([[fields], {}, {"callbacks": None, "errbacks": None, "chain": None}])
    headers = {"lang": "py", "task": "bench.edit", "id": message_id, "root_id": message_id}
    properties = pika.BasicProperties(
        content_type="application/json",
        content_encoding="utf-8",
        delivery_mode=2,
        correlation_id=message_id,
        headers=headers | {"parent_id": None, "group": None},
    )
    return body.encode(), properties


def dramatiq_message(fields: dict[str, Any], message_id: str, queue: str) -> Message:
    """A message of Dramatiq: https://dramatiq.io/advanced.html#enqueueing-messages-from-other-languages."""
    message = {
        "queue_name": queue,
        "actor_name": "bench.edit",
        "args": [fields],
        "kwargs": {},
        "options": {},
        "message_id": message_id,
        "message_timestamp": 0,
    }
    return json.dumps(message).encode(), pika.BasicProperties(delivery_mode=2)


@dataclass(frozen=True, slots=True)
class Edits:
    """Messages that are made when they are asked for; there may be a million."""

    form: Callable[[dict[str, Any], str, str], Message]
    queue: str
    numbers: range
    jobs: int
    size: int

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[Message]:
        for number in self.numbers:
            fields = edit(number, jobs=self.jobs, size=self.size)
            yield self.form(fields, f"00000000-0000-4000-8000-{number:012}", self.queue)


@dataclass(frozen=True, slots=True)
class Contestant:
    """A program that applies edits. `{…}` in its command: venv, and concurrency."""

    name: str
    title: str
    command: tuple[str, ...]
    venv: str = "peers"
    pace: int = 600
    """Messages a second that it is about good for: rounds are made about equally long by it."""
    threads_at_once: int = 0
    """Threads with which it does best when the API answers at once: more of them only fight for
    the interpreter's lock. 0: as many as calls in flight are asked for."""
    one_by_one: bool = False
    """It makes one call at a time, so that an API with latency shows nothing but that."""
    message: Callable[[dict[str, Any], str, str], Message] = plain_message
    also_declares: tuple[str, ...] = ()
    """Endings of the names of further queues that it declares itself."""
    environment: tuple[tuple[str, str], ...] = ()

    @property
    def is_ours(self) -> bool:
        """Whether it is the worker of this project."""
        return self.venv == "ship"

    def queue(self, names: Names) -> str:
        """What it consumes."""
        return names.lane("default") if self.is_ours else f"{names.namespace}.edits"

    def objects(self, names: Names) -> tuple[Object, ...]:
        """What is declared before it starts: the queue to fill, and where events go."""
        queue = self.queue(names)
        if self.is_ours:
            own: tuple[Object, ...] = (
                Queue(queue, lane_arguments(names)),
                Binding(names.exchange, queue, "#"),
            )
        elif self.message is dramatiq_message:
            dead = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": f"{queue}.XQ"}
            own = (Queue(queue, PLAIN_QUORUM | dead),)
        else:
            own = (Queue(queue, PLAIN_QUORUM),)
        return (*surroundings(names), *own)

    def others(self, names: Names) -> list[str]:
        """Queues that it declares itself, to be deleted after it."""
        return [f"{self.queue(names)}{ending}" for ending in self.also_declares]

    def messages(
        self, names: Names, count: int, *, start: int = 0, jobs: int = JOBS, size: int = 0
    ) -> Edits:
        """Edits in its own form, numbered from `start`; made when they are asked for."""
        return Edits(self.message, self.queue(names), range(start, start + count), jobs, size)

    def arguments(self, bin_folder: Path, concurrency: int) -> list[str]:
        """Its command."""
        said = {"bin": str(bin_folder), "concurrency": str(concurrency)}
        return [part.format_map(said) for part in self.command]


_FASTSTREAM = ("{bin}/faststream", "run")
_PEERS = "tests.bench.peers"
_ASYNCIO = (("FASTSTREAM_LOOP", "asyncio:new_event_loop"),)

OURS = Contestant("ours", "task-edit worker", ("{bin}/taskedit", "run"), venv="ship", pace=5000)
AIOHTTP = Contestant(
    "faststream-aiohttp",
    "FastStream, aiohttp",
    (*_FASTSTREAM, f"{_PEERS}.faststream_aiohttp:app"),
    pace=1300,
    environment=_ASYNCIO,
)
UVLOOP = Contestant(
    "faststream-uvloop",
    "FastStream, aiohttp, uvloop",
    (*_FASTSTREAM, f"{_PEERS}.faststream_aiohttp:app"),
    pace=1600,
    environment=(("FASTSTREAM_LOOP", "uvloop:new_event_loop"),),
)
REQUESTS = Contestant(
    "faststream-requests",
    "FastStream, requests",
    (*_FASTSTREAM, f"{_PEERS}.faststream_requests:app"),
    environment=_ASYNCIO,
)
CELERY = Contestant(
    "celery",
    "Celery, threads",
    (
        *("{bin}/celery", "-A", f"{_PEERS}.celery_app", "worker", "-P", "threads"),
        *("-c", "{concurrency}", "-l", "WARNING"),
        *("--without-gossip", "--without-mingle", "--without-heartbeat"),
    ),
    message=celery_message,
    threads_at_once=8,
)
DRAMATIQ = Contestant(
    "dramatiq",
    "Dramatiq",
    (
        *("{bin}/dramatiq", f"{_PEERS}.dramatiq_app", "--processes", "1"),
        *("--threads", "{concurrency}"),
    ),
    message=dramatiq_message,
    threads_at_once=8,  # its own default
    also_declares=(".DQ", ".XQ"),
)
PLAIN = Contestant(
    "plain", "pika + requests, a loop", ("{bin}/python", "-m", f"{_PEERS}.plain"), one_by_one=True
)
ALL = (OURS, AIOHTTP, UVLOOP, REQUESTS, CELERY, DRAMATIQ, PLAIN)
