"""Which parts of the pages have changed, for whoever waits for that."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from worker.console.model import Part

TOGETHER_WITHIN: Final = 0.25
"""Seconds in which changes are told at once."""


class Changes:
    """Counts the changes of each part."""

    def __init__(self) -> None:
        self._counts: Counter[Part] = Counter()
        self._waiting: set[asyncio.Event] = set()

    def touch(self, *parts: Part) -> None:
        """These have changed."""
        self._counts.update(parts)
        for event in self._waiting:
            event.set()

    async def follow(self) -> AsyncIterator[frozenset[Part]]:
        """The parts that have changed, each time that some have; without end."""
        event, seen = asyncio.Event(), self._counts.copy()
        self._waiting.add(event)
        try:
            while True:
                await event.wait()
                await asyncio.sleep(TOGETHER_WITHIN)
                event.clear()
                now = self._counts.copy()
                yield frozenset(part for part, count in now.items() if count != seen[part])
                seen = now
        finally:
            self._waiting.discard(event)
