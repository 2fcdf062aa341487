"""A look at the dead letters for a command, and its end where there is nothing to look at."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from worker.cli.sessions import ended
from worker.deadletters.browse import browse
from worker.deadletters.letter import read
from worker.deadletters.visit import VisitFailure

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.core.message import Delivery
    from worker.deadletters.letter import Letter
    from worker.deadletters.visit import Broker


def looked(
    broker: Broker, command: str, see: Callable[[Letter, Delivery], None], *, noted: bool = True
) -> None:
    """Show `see` each letter, first to last. They are back in order when it returns.

    `command`: as a person called it. With `noted`, letters that somebody else holds are told of.
    """
    place = 0

    def seen(delivery: Delivery) -> None:
        nonlocal place
        place += 1
        see(read(delivery, place), delivery)

    missing = browse(broker, f"taskedit dead {command}", seen)
    if isinstance(missing, VisitFailure):
        raise ended(missing)
    if missing and noted:
        click.echo(f"{missing} more are held by somebody else, so they are not seen.", err=True)


def now() -> datetime:
    """To measure ages by."""
    return datetime.now(UTC)
