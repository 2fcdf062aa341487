"""Progress bars, and the width of the terminal."""

from __future__ import annotations

import asyncio
import shutil
import sys
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final, Protocol

import click

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

SHOW_EVERY: Final = 0.1
"""Seconds between two looks at how far something is."""


class Progress(Protocol):
    """What knows how far it is."""

    @property
    def moved(self) -> int:
        """How many of its things are done."""


def width() -> int | None:
    """The columns of the terminal that standard output is; None if it is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


@contextmanager
def bar(label: str, length: int) -> Iterator[Callable[[int], None]]:
    """Show on standard error how far something is; gives the function that is told how far."""
    with click.progressbar(
        length=length,
        label=label,
        width=0,
        show_pos=True,
        hidden=not sys.stderr.isatty(),
        file=sys.stderr,
    ) as shown:
        yield lambda done: shown.update(done - shown.pos)


@asynccontextmanager
async def progress_bar(label: str, length: int, progress: Progress) -> AsyncIterator[None]:
    """The same for a coroutine, of what tells itself how far it is."""

    async def keep_up() -> None:
        while True:
            show(progress.moved)
            await asyncio.sleep(SHOW_EVERY)

    with bar(label, length) as show:
        showing = asyncio.create_task(keep_up())
        try:
            yield
        finally:
            showing.cancel()
            show(progress.moved)
