"""A command's settings and its session at RabbitMQ, or the command's end where there is none."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Final, TypeVar

import click

from schemas.document import printable
from worker.amqp.session import Broker, Failure, FailureKind, run
from worker.cli.exits import ABSENT, AGAIN, BAD_SETTINGS, FAILED
from worker.settings import Settings, environment, load

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from worker.amqp.session import Session

Result = TypeVar("Result")

EXITS: Final = {
    FailureKind.ABSENT: ABSENT,
    FailureKind.NO_STREAM: ABSENT,
    FailureKind.BUSY: AGAIN,
    FailureKind.STOPPED: FAILED,
    FailureKind.REFUSED: FAILED,
    FailureKind.FAILED: FAILED,
}
"""How a command ends that failed so."""
_WORDS_AT_MOST: Final = 500


def read_settings(*, accounts_wanted: bool = False, secrets_wanted: bool = False) -> Settings:
    """The settings; a bad one ends the command with one sentence each and exit code 78.

    Commands that never call the API want no secrets: they need no credentials, and read none.
    """
    found = load(environment(), accounts_wanted=accounts_wanted, secrets_wanted=secrets_wanted)
    if isinstance(found, Settings):
        return found
    for problem in found:
        click.echo(f"{problem}.", err=True)
    raise click.exceptions.Exit(BAD_SETTINGS)


def broker_of(settings: Settings) -> Broker:
    """The broker that the settings name, for this version."""
    return Broker.of(settings, version("task-edit-worker"))


def at_broker(
    settings: Settings, work: Callable[[Session], Awaitable[Result]], *, graceful: bool = False
) -> Result:
    """What `work` gives in a session at RabbitMQ; a session that fails ends the command.

    `graceful`: see `worker.amqp.session.run`.
    """
    found = run(broker_of(settings), work, graceful=graceful)
    if isinstance(found, Failure):
        raise exit_for(found)
    return found


def sentence(why: str) -> str:
    """A sentence out of its rest."""
    why = printable(why, _WORDS_AT_MOST)
    end = "" if why.endswith("?") else "."
    return f"{why[:1].upper()}{why[1:].rstrip('.')}{end}"


def exit_for(failure: Failure) -> click.exceptions.Exit:
    """Say what kept the command from its work; the exit to be raised."""
    more = " Try again when that is done." if failure.kind is FailureKind.BUSY else ""
    click.echo(sentence(failure.why) + more, err=True)
    return click.exceptions.Exit(EXITS[failure.kind])
