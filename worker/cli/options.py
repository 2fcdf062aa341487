"""Options and arguments that several commands have."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Final, TypeVar

import click

from schemas import Bounds
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


Kind = TypeVar("Kind")


def parsed(
    parse: Callable[[str], Kind],
) -> Callable[[click.Context, click.Parameter, str | None], Kind | None]:
    """A click callback for a parser of `worker.settings.texts`; what is not given stays None."""

    def callback(_: click.Context, __: click.Parameter, text: str | None) -> Kind | None:
        try:
            return None if text is None else parse(text)
        except ValueError as error:
            raise click.BadParameter(f"It {error}.") from None

    return callback


FILES: Final = click.Path(exists=True, dir_okay=False, readable=True, allow_dash=True)


def content(file: str) -> bytes:
    """All of a file's bytes; a usage error when it cannot be read."""
    try:
        with click.open_file(file, "rb") as opened:
            found: bytes = opened.read()
    except OSError as error:
        name = "Standard input" if file == "-" else file
        raise click.UsageError(f"{name} cannot be read: {error.strerror}.") from None
    return found
