"""A hundred thousand dead letters are looked at once, and pages come at once afterwards.

``python -m tests.contract.console.test_scale AMQP_URL`` prints what it takes on an empty RabbitMQ,
such as that of ``python -m ops.rabbitmq``.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from tests.contract.console.stage import broker_at, declared, settings, until
from tests.unit.console.dead import numbered
from worker.amqp.session import connected
from worker.console.data import Console
from worker.console.model import LetterFilter
from worker.core.message import Publication

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.amqp.session import Broker, Session
    from worker.console.model import GroupedBy

LETTERS = 100_000
TOGETHER = 1000
MEMORY_AT_MOST = 300 * 1024
"""KiB."""
GROUPED_BY: tuple[GroupedBy, ...] = ("cause", "account", "app", "hour")


def publications(exchange: str) -> Iterator[Publication]:
    dead = [numbered(number).dead for number in range(300)]
    for number in range(LETTERS):
        one = dead[number % 300]
        event_id = {"taskedit-event-id": f"{number:08x}-0000-5000-8000-000000000000"}
        headers = one.properties.headers.merged(event_id)
        properties = replace(one.properties, headers=headers, message_id=f"m-{number}")
        yield Publication(exchange, "LILIN888", one.body, properties)


async def put(session: Session) -> None:
    channel, confirms = await session.publisher(), []
    for one in publications(session.names.dead):
        confirms.append(channel.publish_soon(one))
        if len(confirms) == TOGETHER:
            await asyncio.gather(*confirms)
            confirms.clear()
    await asyncio.gather(*confirms)


def resident() -> int:
    """KiB of memory that this process has."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


@dataclass(frozen=True)
class Measured:
    """What a look and pages took: seconds, and KiB beyond what the process had before."""

    look: float
    slowest_page: float
    memory: int
    looks: int
    counts: tuple[int, ...]


async def measured(rabbitmq: Broker) -> Measured:
    async with connected(rabbitmq, asyncio.Event()) as session:
        await declared(session)
        await put(session)
    before, start, pages = resident(), monotonic(), []
    async with Console(rabbitmq, settings()) as console:
        with console.watched():
            await console.groups("cause", LetterFilter())
            await until(lambda: console.picture().letters.looked_at, within=300)
            groups = await console.groups("cause", LetterFilter())
            looked = monotonic() - start
            for group in groups:
                begin = monotonic()
                page = await console.letters(LetterFilter(cause=group.id))
                pages.append(monotonic() - begin)
                assert page.total == group.count
            for by in GROUPED_BY:
                begin = monotonic()
                await console.groups(by, LetterFilter())
                pages.append(monotonic() - begin)
            looks = console.picture().letters.looks
    counts = tuple(group.count for group in groups)
    return Measured(looked, max(pages), resident() - before, looks, counts)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_hundred_thousand_letters_are_grouped_by_one_look_and_in_little_memory(
    amqp_url: str, namespace: str
) -> None:
    found = asyncio.run(measured(broker_at(amqp_url, namespace)))
    assert sum(found.counts) == LETTERS
    assert found.looks == 1
    assert found.memory < MEMORY_AT_MOST


if __name__ == "__main__":
    sys.stdout.write(f"{asyncio.run(measured(broker_at(sys.argv[1], 'scale')))}\n")
