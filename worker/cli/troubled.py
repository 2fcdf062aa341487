"""How a command ends when its visit to RabbitMQ did not come to its end."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Final

import click

from schemas.document import printable
from worker.cli import configured
from worker.cli.exits import ABSENT, AGAIN, FAILED
from worker.visits.broker import Broker, Kind

if TYPE_CHECKING:
    from worker.settings import Settings
    from worker.visits.broker import Trouble

_EXITS: Final = {
    Kind.ABSENT: ABSENT,
    Kind.NO_STREAM: ABSENT,
    Kind.BUSY: AGAIN,
    Kind.STOPPED: FAILED,
    Kind.FAILED: FAILED,
}
_WORDS_AT_MOST: Final = 500


def settings_and_broker() -> tuple[Settings, Broker]:
    """For commands that never call the API; bad settings end the command."""
    settings = configured.settings(accounts_wanted=False, secrets_wanted=False)
    return settings, Broker.of(settings, version("task-edit-worker"))


def said(why: str) -> str:
    """A sentence out of its rest."""
    why = printable(why, _WORDS_AT_MOST)
    end = "" if why.endswith("?") else "."
    return f"{why[:1].upper()}{why[1:].rstrip('.')}{end}"


def ended(trouble: Trouble) -> click.exceptions.Exit:
    """Say what kept the command from its work; to be raised."""
    more = " Try again when that is done." if trouble.kind is Kind.BUSY else ""
    click.echo(said(trouble.why) + more, err=True)
    return click.exceptions.Exit(_EXITS[trouble.kind])
