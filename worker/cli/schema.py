"""`taskedit schema`: the contract as files."""

from __future__ import annotations

from pathlib import Path

import click

from schemas import export
from worker.cli.exits import FAILED


@click.group(name="schema")
def command() -> None:
    """The contract as files for publishers and subscribers in other languages."""


@command.command(name="export")
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.pass_context
def export_files(ctx: click.Context, folder: Path) -> None:
    """Write the schema files into DIR, which is made if need be, and print their paths.

    JSON Schema 2020-12 of the edit (edit.json), the events and a dead letter's headers; and all
    of it, with channels and operations, as asyncapi.yaml.
    """
    try:
        paths = export(folder)
    except OSError as error:
        click.echo(f"{folder} cannot be written: {error.strerror}.", err=True)
        ctx.exit(FAILED)
    for path in paths:
        click.echo(path)
