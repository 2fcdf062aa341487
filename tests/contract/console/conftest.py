"""The console's real server on a port of its own, over a source that is kept in memory."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread
from typing import TYPE_CHECKING, Protocol, cast

import pytest
import requests

from tests.contract.console.fake_source import FakeSource
from worker.console.access import Access
from worker.console.app import listening, serve
from worker.settings.console import ConsoleSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.console.data import Console

LOOPBACK = frozenset(("localhost", "127.0.0.1", "[::1]"))
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}


@dataclass(slots=True)
class Running:
    """A console that answers, and what it stands on."""

    url: str
    source: FakeSource
    access: Access
    port: int

    def browser(self, *, signed_in: bool = True) -> requests.Session:
        """A client that says what browsers say of their own forms."""
        session = requests.Session()
        session.trust_env = False
        session.headers.update(SAME_ORIGIN)
        if signed_in:
            answer = session.post(
                f"{self.url}/sign-in", {"code": self.access.code}, allow_redirects=False, timeout=10
            )
            assert answer.status_code == 303
        return session


class StartConsole(Protocol):
    """Starts a console with settings of the test's own."""

    def __call__(self, settings: ConsoleSettings | None = None) -> Running: ...


@contextmanager
def running(settings: ConsoleSettings) -> Iterator[Running]:
    """A console in a thread of its own, until the end of the block."""
    source = FakeSource()
    at = listening(settings)
    port = at.getsockname()[1] if isinstance(settings.address, tuple) else 0
    scheme = "http" if settings.certificate is None else "https"
    access = Access(settings, f"{scheme}://127.0.0.1:{port}")
    ending: list[asyncio.AbstractEventLoop] = []
    stop = asyncio.Event()
    ready = Event()

    async def main() -> None:
        ending.append(asyncio.get_running_loop())
        ready.set()
        await serve(cast("Console", source), access, settings, at, "prod", stop)

    thread = Thread(target=lambda: asyncio.run(main()), name="console")
    thread.start()
    assert ready.wait(10)
    try:
        yield Running(access.address, source, access, port)
    finally:
        ending[0].call_soon_threadsafe(stop.set)
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture
def start_console() -> Iterator[StartConsole]:
    """As many consoles as the test asks for, on loopback by default."""
    open_ones = []

    def started(settings: ConsoleSettings | None = None) -> Running:
        one = running(settings or ConsoleSettings(("127.0.0.1", 0), LOOPBACK))
        open_ones.append(one)
        return one.__enter__()

    yield started
    for one in reversed(open_ones):
        one.__exit__(None, None, None)


@pytest.fixture
def console(start_console: StartConsole) -> Running:
    """A console on loopback, to which a code signs in."""
    return start_console()
