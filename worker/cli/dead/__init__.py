"""`taskedit dead`: what failed, why, and how to put it right."""

from __future__ import annotations

import click

from worker.cli.dead import carrying, discarding, listing, sending, showing


@click.group(name="dead")
def command() -> None:
    """Dead letters: edits that were set aside, each with its reason.

    Looking leaves them as they are. One of these commands runs at a time; another ends with 75.
    """


command.add_command(listing.command)
command.add_command(showing.command)
command.add_command(sending.command)
command.add_command(carrying.export)
command.add_command(carrying.import_)
command.add_command(discarding.command)
