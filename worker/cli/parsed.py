"""Options whose text is read as a setting of the same kind would be."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

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
