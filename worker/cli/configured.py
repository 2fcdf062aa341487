"""The settings for a command, or its end."""

from __future__ import annotations

import click

from worker.cli.exits import BAD_SETTINGS
from worker.settings import Settings, environment, load


def settings(*, accounts_wanted: bool, secrets_wanted: bool) -> Settings:
    """The settings; a bad one ends the command with one sentence each and exit code 78.

    Commands that never call the API want no secrets: they need no credentials, and read none.
    """
    found = load(environment(), accounts_wanted=accounts_wanted, secrets_wanted=secrets_wanted)
    if isinstance(found, Settings):
        return found
    for problem in found:
        click.echo(f"{problem}.", err=True)
    raise click.exceptions.Exit(BAD_SETTINGS)
