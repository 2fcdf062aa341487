"""The settings for a command, or its end.

How a command ends when its visit to RabbitMQ did not come to its end.
"""

from __future__ import annotations

from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

import click

from schemas.document import printable
from worker.amqp import session
from worker.amqp.session import FailureKind, SessionError
from worker.cli.exits import ABSENT, AGAIN, BAD_SETTINGS, FAILED
from worker.deadletters.visit import Broker, VisitFailureKind
from worker.fleet.operations import recording
from worker.settings import Settings, environment, load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas import Action
    from worker.deadletters.visit import VisitFailure
    from worker.fleet.operations import Operation


def read_settings(*, accounts_wanted: bool, secrets_wanted: bool) -> Settings:
    """The settings; a bad one ends the command with one sentence each and exit code 78.

    Commands that never call the API want no secrets: they need no credentials, and read none.
    """
    found = load(environment(), accounts_wanted=accounts_wanted, secrets_wanted=secrets_wanted)
    if isinstance(found, Settings):
        return found
    for problem in found:
        click.echo(f"{problem}.", err=True)
    raise click.exceptions.Exit(BAD_SETTINGS)


_EXITS: Final = {
    VisitFailureKind.ABSENT: ABSENT,
    VisitFailureKind.NO_STREAM: ABSENT,
    VisitFailureKind.BUSY: AGAIN,
    VisitFailureKind.STOPPED: FAILED,
    VisitFailureKind.FAILED: FAILED,
}
_WORDS_AT_MOST: Final = 500


def settings_and_broker() -> tuple[Settings, Broker]:
    """For commands that never call the API; bad settings end the command."""
    settings = read_settings(accounts_wanted=False, secrets_wanted=False)
    return settings, Broker.of(settings, version("task-edit-worker"))


@contextmanager
def recorded(broker: Broker, action: Action, **facts: Any) -> Iterator[Operation]:  # noqa: ANN401
    """Record what is done meanwhile; the command ends when that cannot be.

    `facts`: see `worker.fleet.operations.recording`.
    """
    where = session.Broker(broker.urls, broker.heartbeat, broker.names, broker.version)
    try:
        with recording(where, action, **facts) as operation:
            yield operation
    except SessionError as error:
        click.echo(said(error.failure.why), err=True)
        absent = error.failure.kind in {FailureKind.ABSENT, FailureKind.NO_STREAM}
        raise click.exceptions.Exit(ABSENT if absent else FAILED) from None


def said(why: str) -> str:
    """A sentence out of its rest."""
    why = printable(why, _WORDS_AT_MOST)
    end = "" if why.endswith("?") else "."
    return f"{why[:1].upper()}{why[1:].rstrip('.')}{end}"


def ended(trouble: VisitFailure) -> click.exceptions.Exit:
    """Say what kept the command from its work; to be raised."""
    more = " Try again when that is done." if trouble.kind is VisitFailureKind.BUSY else ""
    click.echo(said(trouble.why) + more, err=True)
    return click.exceptions.Exit(_EXITS[trouble.kind])
