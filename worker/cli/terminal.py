"""A progress bar on a terminal, and nothing anywhere else."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def bar(label: str, length: int) -> Iterator[Callable[[int], None]]:
    """Show on standard error how far something is; gives the function that is told how far."""
    with click.progressbar(
        length=length,
        label=label,
        show_pos=True,
        hidden=not sys.stderr.isatty(),
        file=sys.stderr,
    ) as shown:
        yield lambda done: shown.update(done - shown.pos)
