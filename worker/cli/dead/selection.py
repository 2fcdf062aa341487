"""Which dead letters a command is about: its options, and the letters that they choose."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import TYPE_CHECKING, Final, TypeVar

import click

from schemas import Reason
from worker.amqp.session import FailureKind, SessionError
from worker.cli.options import parsed
from worker.cli.sessions import sentence
from worker.deadletters.filter import DeadLetterFilter
from worker.deadletters.history import read_history
from worker.deadletters.queue import locked
from worker.settings import texts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from schemas import Event
    from worker.amqp.session import Session
    from worker.deadletters.history import JobHistory
    from worker.deadletters.letter import Letter
    from worker.deadletters.queue import DeadLetterQueue, HeldLetter

Result = TypeVar("Result")
_AGE: Final = texts.duration(timedelta(0), timedelta(days=3650))


def letter_filter_options(command: Callable[..., Result]) -> Callable[..., Result]:
    """Give a command the filters, as one argument `wanted`."""

    @click.option(
        "--reason",
        "reasons",
        multiple=True,
        type=click.Choice([reason.value for reason in Reason]),
        help="Why it died. This and the others may be given several times.",
    )
    @click.option("--status", "statuses", multiple=True, metavar="STATUS", help="As -33, http:400.")
    @click.option("--account", "accounts", multiple=True, metavar="NAME", help="- is for none.")
    @click.option("--app", "apps", multiple=True, metavar="APP", help="The edit's appId.")
    @click.option("--job", "jobs", multiple=True, type=int, metavar="N", help="The edit's jobId.")
    @click.option(
        "--message-id",
        "--id",
        "names",
        multiple=True,
        metavar="ID",
        help="A message id, the id of a rejected event, or a place in the queue as '#3'.",
    )
    @click.option(
        "--older-than", metavar="TIME", callback=parsed(_AGE), help="As 90s, 15m, 2h, 3d."
    )
    @click.option(
        "--newer-than", metavar="TIME", callback=parsed(_AGE), help="As 90s, 15m, 2h, 3d."
    )
    @wraps(command)
    def settings(  # noqa: PLR0913 - an argument an option
        *,
        reasons: tuple[str, ...],
        statuses: tuple[str, ...],
        accounts: tuple[str, ...],
        apps: tuple[str, ...],
        jobs: tuple[int, ...],
        names: tuple[str, ...],
        older_than: timedelta | None,
        newer_than: timedelta | None,
        **rest: object,
    ) -> Result:
        wanted = DeadLetterFilter(
            frozenset(reasons),
            frozenset(statuses),
            frozenset(accounts),
            frozenset(jobs),
            frozenset(apps),
            frozenset(names),
            older_than,
            newer_than,
        )
        return command(wanted=wanted, **rest)

    return settings


async def selected(
    session: Session, command: str, wanted: DeadLetterFilter
) -> AsyncIterator[HeldLetter]:
    """Each letter that is wanted, first to last; all are back in order when this ends.

    `command`: as a person called it, for whoever finds the letters locked by it.
    """
    now = datetime.now(UTC)
    async with locked(session, f"taskedit dead {command}") as queue:
        async for held in queue.letters():
            if wanted.takes(held.letter, now):
                yield held
    tell_missing(queue)


async def history_or_none(
    session: Session, letters: Sequence[Letter], without: str, events: list[Event] | None = None
) -> JobHistory | None:
    """What the journal tells of the letters' jobs; None without a journal, and said so.

    `without`: what that means, as a sentence. `events`: see `read_history`.
    """
    try:
        return await read_history(session, letters, events)
    except SessionError as error:
        if error.failure.kind is not FailureKind.NO_STREAM:
            raise
        click.echo(f"{sentence(error.failure.why)} {without}", err=True)
        return None


def tell_missing(queue: DeadLetterQueue) -> None:
    """Say how many letters somebody else holds."""
    if queue.missing:
        text = f"{queue.missing} more are held by somebody else, so they are not seen."
        click.echo(text, err=True)
