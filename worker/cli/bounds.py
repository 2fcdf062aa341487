"""Options that say by whose bounds a command checks edits."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, TypeVar

import click

from schemas import Bounds
from worker.cli.parsed import parsed
from worker.settings import texts

if TYPE_CHECKING:
    from collections.abc import Callable
    from zoneinfo import ZoneInfo

Result = TypeVar("Result")


def bounds_options(command: Callable[..., Result]) -> Callable[..., Result]:
    """Give a command the options of an account's bounds, as one argument `bounds`."""

    @click.option(
        "--zone",
        default="Asia/Shanghai",
        show_default=True,
        callback=parsed(texts.zone),
        help="The account's time zone.",
    )
    @click.option(
        "--daily-window",
        metavar="HH:MM-HH:MM",
        default="09:00-20:00",
        show_default=True,
        callback=parsed(texts.window),
        help="When the account may call.",
    )
    @click.option(
        "--app-id",
        "app_ids",
        metavar="APP",
        multiple=True,
        help="An appId of the account; may be given several times. Without any, every appId"
        " passes; with exactly one, edits may leave it out.",
    )
    @wraps(command)
    def bounded(
        zone: ZoneInfo, daily_window: tuple[str, str], app_ids: tuple[str, ...], **rest: object
    ) -> Result:
        return command(bounds=Bounds(zone, *daily_window, frozenset(app_ids)), **rest)

    return bounded
