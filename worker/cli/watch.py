"""`taskedit watch`: events as they happen."""

from __future__ import annotations

from contextlib import suppress
from time import sleep
from typing import TYPE_CHECKING, Final

import click

from worker.amqp.session import OFFSET, FailureKind, run
from worker.cli.history import event_filter_options, event_in, heading, row
from worker.cli.sessions import broker_of, exit_for, read_settings, sentence
from worker.cli.streams import ending_with_reader
from worker.cli.terminal import width

if TYPE_CHECKING:
    from worker.amqp.session import Offset, Session
    from worker.cli.history import EventFilter

AGAIN_AFTER: Final = 1.0
"""Seconds between tries to connect anew."""


@click.command(name="watch")
@event_filter_options
@click.option("--json", "as_json", is_flag=True, help="The events, as they were published.")
def command(wanted: EventFilter, *, as_json: bool) -> None:
    """Show events as they happen, until Ctrl-C; with --since, those since then first.

    Ends too when nobody reads its output any more, as `head` after ten lines.

    A lost connection is made anew, and no event is missed. Ends with 69 when RabbitMQ cannot be
    reached at first, or has no journal.
    """
    settings, watcher = read_settings(), _Watcher(wanted, as_json=as_json)
    told = ""
    with suppress(KeyboardInterrupt), ending_with_reader():
        while True:
            failure = run(broker_of(settings), watcher.follow)
            if failure is None or failure.kind is FailureKind.STOPPED:
                return
            if failure.kind is not FailureKind.ABSENT or not watcher.was_connected:
                raise exit_for(failure)
            if failure.why != told:
                told = failure.why
                click.echo(f"{sentence(told)} Trying again.", err=True)
            sleep(AGAIN_AFTER)


class _Watcher:
    """Prints events, over as many connections as it takes."""

    def __init__(self, wanted: EventFilter, *, as_json: bool) -> None:
        self.was_connected = False
        self._wanted = wanted
        self._passes = wanted.sieve()
        self._offset: Offset = wanted.offset or "next"
        self._as_json = as_json
        self._is_headed = as_json
        self._room = width()

    async def follow(self, session: Session) -> None:
        """Print all from where it was left until the connection is lost."""
        self.was_connected = True
        async for entry in session.journal(self._offset, follow=True):
            self._offset = int(entry.properties.headers.text(OFFSET) or 0) + 1
            event = event_in(entry.body) if self._passes(entry.body) else None
            if event is None or not self._wanted.takes(event):
                continue
            if not self._is_headed:
                if names := heading(self._room):
                    click.echo(names)
                self._is_headed = True
            click.echo(entry.body if self._as_json else row(event, self._room))
