"""How a command ends when its visit to RabbitMQ did not come to its end."""

from __future__ import annotations

from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

import click

from schemas.document import printable
from worker.amqp import session
from worker.amqp.session import FailureKind, SessionError
from worker.cli import configured
from worker.cli.exits import ABSENT, AGAIN, FAILED
from worker.fleet.operations import recording
from worker.visits.broker import Broker, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas import Action
    from worker.fleet.operations import Operation
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


def ended(trouble: Trouble) -> click.exceptions.Exit:
    """Say what kept the command from its work; to be raised."""
    more = " Try again when that is done." if trouble.kind is Kind.BUSY else ""
    click.echo(said(trouble.why) + more, err=True)
    return click.exceptions.Exit(_EXITS[trouble.kind])
