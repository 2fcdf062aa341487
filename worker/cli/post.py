"""Edits on their way to RabbitMQ, from the first one sent to the last outcome in."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

from worker.amqp.posting import End, Plan, Posting
from worker.cli.bar import bar
from worker.core.pacing import Pacer
from worker.visits.broker import Broker, Errand, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import timedelta

    from pika.connection import Connection  # noqa: TID251 (its type, never pika itself)

    from worker.core.delivery import Publication
    from worker.core.pacing import Rate
    from worker.settings import Settings


@dataclass(frozen=True, slots=True)
class Wishes:
    """How to publish."""

    wait: bool
    """For the outcomes, not only for the confirms."""
    patience: timedelta
    """How long nothing may move before it is given up."""
    rates: tuple[Rate, ...] | None


def post(
    settings: Settings,
    publications: Sequence[Publication],
    wishes: Wishes,
    heard: Callable[[bytes], None],
) -> Posting:
    """Publish, and return when all is in, or nothing more is to be waited for.

    On a terminal a bar shows how far it is. The first Ctrl-C (or SIGTERM) sends no more and
    waits for the last confirms, the second ends at once. `heard` is told each event.
    """
    broker = Broker.of(settings, version("task-edit-worker"))

    def begin(connection: Connection) -> None:
        posting.start(connection)

    def stop() -> None:
        posting.stop()

    errand = Errand(broker, begin, stop)
    loop = errand.loop
    with bar("Outcomes" if wishes.wait else "Confirmed", len(publications)) as show:

        def look() -> None:
            heard_of = len(publications) - len(posting.awaited)
            show(heard_of if wishes.wait else len(posting.confirms.fates))

        posting = Posting(
            loop,
            publications,
            Plan(
                broker.names.events if wishes.wait else None,
                wishes.patience.total_seconds(),
                Pacer(wishes.rates, now=loop.now(), taken=()) if wishes.rates else None,
            ),
            heard=heard,
            look=look,
            ended=errand.end,
        )
        trouble = errand.run()
    if trouble is not None:
        stopped = trouble.kind is Kind.STOPPED
        posting.finish(End.STOPPED if stopped else End.ABSENT, trouble.why)
    return posting
