"""`taskedit dead`: what failed, why, and how to put it right."""

from __future__ import annotations

import click

from worker.cli.dead.discarding import command as discard
from worker.cli.dead.listing import command as listing
from worker.cli.dead.redrive import command as redrive
from worker.cli.dead.showing import command as show
from worker.cli.dead.transfer import export, import_


@click.group(name="dead")
def command() -> None:
    """Dead letters: edits that were set aside, each with its reason.

    Looking leaves them as they are. One of these commands runs at a time, `taskedit lanes` while it
    counts them included; another ends with 75.
    """


command.add_command(listing)
command.add_command(show)
command.add_command(redrive)
command.add_command(export)
command.add_command(import_)
command.add_command(discard)
