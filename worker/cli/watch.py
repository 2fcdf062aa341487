"""`taskedit watch`: events as they happen."""

from __future__ import annotations

from contextlib import suppress
from time import sleep
from typing import TYPE_CHECKING, Final

import click

from worker.cli.history import HEADING, MARGIN, event_in, row, sought_options
from worker.cli.sessions import ended, said, settings_and_broker
from worker.cli.streams import ending_with_reader
from worker.deadletters.journal import Follower
from worker.deadletters.visit import VisitFailureKind

if TYPE_CHECKING:
    from worker.cli.history import EventFilter

AGAIN_AFTER: Final = 1.0
"""Seconds between tries to connect anew."""


@click.command(name="watch")
@sought_options
@click.option("--json", "as_json", is_flag=True, help="The events, as they were published.")
def command(sought: EventFilter, *, as_json: bool) -> None:
    """Show events as they happen, until Ctrl-C; with --since, those since then first.

    Ends too when nobody reads its output any more, as `head` after ten lines.

    A lost connection is made anew, and no event is missed. Ends with 69 when RabbitMQ cannot be
    reached at first, or has no journal.
    """
    _, broker = settings_and_broker()
    passes, headed = sought.sieve(), as_json

    def hear(_: object, body: bytes) -> None:
        nonlocal headed
        event = event_in(body) if passes(body) else None
        if event is not None and sought.wants(event):
            if not headed:
                click.echo(HEADING)
                headed = True
            click.echo(body if as_json else row(event))

    offset = "next" if sought.since is None else sought.since - MARGIN
    with suppress(KeyboardInterrupt), ending_with_reader():
        _followed(Follower(broker, offset, hear))


def _followed(follower: Follower) -> None:
    told = ""
    while True:
        trouble = follower.follow()
        if trouble is None or trouble.kind is VisitFailureKind.STOPPED:
            return
        if trouble.kind is not VisitFailureKind.ABSENT or not follower.was_up:
            raise ended(trouble)
        if trouble.why != told:
            told = trouble.why
            click.echo(f"{said(told)} Trying again.", err=True)
        sleep(AGAIN_AFTER)
