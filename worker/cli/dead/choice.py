"""Options that say which dead letters are meant."""

from __future__ import annotations

from datetime import timedelta
from functools import wraps
from typing import TYPE_CHECKING, Final, TypeVar

import click

from schemas import Reason
from worker.cli.options import parsed
from worker.deadletters.filter import DeadLetterFilter
from worker.settings import texts

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")
_AGE: Final = texts.duration(timedelta(0), timedelta(days=3650))


def wanted_options(command: Callable[..., Result]) -> Callable[..., Result]:
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
    def chosen(  # noqa: PLR0913 - an argument an option
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

    return chosen
