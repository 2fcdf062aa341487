"""A hundred thousand dead letters are looked at once, and pages come at once afterwards.

``python -m tests.contract.console.test_scale AMQP_URL SECONDS`` prints what it takes, and what so
much browsing finds, on an empty RabbitMQ, such as that of ``python -m ops.rabbitmq``.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, field, replace
from html import unescape
from itertools import count
from pathlib import Path
from random import Random
from time import monotonic
from typing import TYPE_CHECKING

import psutil
import pytest
import requests

from tests.contract.console.conftest import SAME_ORIGIN
from tests.contract.console.stage import Stage, broker_at, declared, settings, until
from tests.contract.console.test_command import started
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
BROWSING = 75.0
"""Seconds: longer than from one look to the next, should RabbitMQ's count not be believed."""
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


@dataclass
class Walk:
    """What somebody finds who follows links, while letters die."""

    looks: set[str] = field(default_factory=set)
    """When the letters were looked at, by all that was said meanwhile."""
    refused: list[str] = field(default_factory=list)
    pages: Counter[str] = field(default_factory=Counter)
    slowest: dict[str, float] = field(default_factory=dict)
    """Seconds, of each kind of page."""
    memory: int = 0
    total: int = 0


def walked(pid: int, url: str, code: str, seconds: float, fresh: set[str]) -> Walk:
    """Browse for so long; of the `fresh` letters each that is opened would cost a look."""
    walk, chance, seen = Walk(), Random(1), deque[str](maxlen=20)
    with requests.Session() as session:
        session.trust_env = False
        session.headers.update(SAME_ORIGIN)
        session.post(f"{url}/sign-in", {"code": code}, timeout=30)
        groups = f"{url}/api/v1/dead/groups?by=cause"
        while (told := session.get(groups, timeout=60).json())["looked_at"] is None:
            pass
        path, end = "/", monotonic() + seconds
        while monotonic() < end:
            begin = monotonic()
            page = session.get(url + path, timeout=60)
            kind = re.sub(r"[?].*|/[^/]*[0-9][^/]*", "", path)
            walk.slowest[kind] = max(walk.slowest.get(kind, 0.0), monotonic() - begin)
            walk.pages[kind] += 1
            if not page.ok:
                walk.refused.append(path)
            seen.append(path)
            links = {unescape(link) for link in re.findall(r'href="(/[^"#]*)"', page.text)}
            ways = sorted(
                link
                for link in links.difference(seen)
                if not link.startswith("/static") and not any(key in link for key in tuple(fresh))
            )
            path = chance.choice(ways) if ways and chance.random() > 1 / 15 else "/"
            told = session.get(groups, timeout=60).json()
            walk.looks.add(told["looked_at"])
        walk.total = sum(group["count"] for group in told["items"])
    walk.memory = psutil.Process(pid).memory_info().rss // 1024
    return walk


async def browsed(rabbitmq: Broker, seconds: float) -> tuple[Walk, int]:
    """What browsing finds, and how many letters there are by then."""
    fresh, died = set[str](), count(300)
    async with connected(rabbitmq, asyncio.Event()) as session:
        stage = Stage(session, Console(rabbitmq, settings()))

        async def dying() -> None:
            while True:
                one = numbered(next(died))
                fresh.add(one.letter.event_id)
                await stage.die([one])
                await asyncio.sleep(0.5)

        with started(
            TASKEDIT_AMQP_URL=rabbitmq.urls[0], TASKEDIT_NAMESPACE=rabbitmq.names.namespace
        ) as console:
            process, url, code = console
            killing = asyncio.create_task(dying())
            try:
                walk = await asyncio.to_thread(walked, process.pid, url, code, seconds, fresh)
            finally:
                killing.cancel()
                with suppress(asyncio.CancelledError):
                    await killing
    return walk, LETTERS + len(fresh)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_hundred_thousand_letters_are_looked_at_once_and_in_little_memory(
    amqp_url: str, namespace: str
) -> None:
    rabbitmq = broker_at(amqp_url, namespace)
    found = asyncio.run(measured(rabbitmq))
    assert sum(found.counts) == LETTERS
    assert found.looks == 1
    assert found.memory < MEMORY_AT_MOST

    walk, letters = asyncio.run(browsed(rabbitmq, BROWSING))
    assert len(walk.looks) == 1
    assert not walk.refused
    assert letters - 3 <= walk.total <= letters  # the last ones are on their way
    assert walk.memory < MEMORY_AT_MOST


if __name__ == "__main__":
    at, so_long = broker_at(sys.argv[1], "scale"), float(sys.argv[2])
    sys.stdout.write(f"{asyncio.run(measured(at))}\n{asyncio.run(browsed(at, so_long))}\n")
