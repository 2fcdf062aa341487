"""A hundred thousand dead letters are looked at once, and pages come at once afterwards."""

from __future__ import annotations

import asyncio
from dataclasses import replace
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
    from collections.abc import Callable, Iterator

    from worker.amqp.session import Broker, Session

LETTERS = 100_000
TOGETHER = 1000
LOOK_WITHIN, PAGE_WITHIN, MEMORY_AT_MOST = 20.0, 0.3, 300 * 1024
"""Seconds, seconds, KiB."""


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
    """KiB of memory that this process has at most had."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_hundred_thousand_letters_are_grouped_soon_and_looked_at_once(
    amqp_url: str, namespace: str, record_property: Callable[[str, object], None]
) -> None:
    rabbitmq: Broker = broker_at(amqp_url, namespace)

    async def work() -> None:
        async with connected(rabbitmq, asyncio.Event()) as session:
            await declared(session)
            await put(session)
        before, start = resident(), monotonic()
        async with Console(rabbitmq, settings()) as console:
            with console.watched():
                await console.groups("cause", LetterFilter())
                await until(lambda: console.picture().letters.looked_at, within=300)
                groups = await console.groups("cause", LetterFilter())
                looked = monotonic() - start
                cursor, pages = None, []
                for group in groups:
                    begin = monotonic()
                    page = await console.letters(LetterFilter(cause=group.id), cursor)
                    pages.append(monotonic() - begin)
                    assert page.total == group.count
                for by in ("account", "app", "hour"):
                    begin = monotonic()
                    await console.groups(by, LetterFilter())
                    pages.append(monotonic() - begin)
                used = resident() - before
        record_property("look_seconds", looked)
        record_property("slowest_page_seconds", max(pages))
        record_property("memory_kib", used)
        assert sum(group.count for group in groups) == LETTERS
        assert used < MEMORY_AT_MOST

    asyncio.run(work())
