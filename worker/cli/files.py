"""Files named on the command line; ``-`` is standard input."""

from __future__ import annotations

from typing import Final

import click

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
