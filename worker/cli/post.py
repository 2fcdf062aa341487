"""Edits on their way to RabbitMQ, from the first one sent to the last outcome in."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

from schemas import Names
from worker.amqp.loop import PikaLoop
from worker.amqp.posting import Plan, Posting
from worker.amqp.visit import Visit
from worker.cli.bar import bar
from worker.core.pacing import Pacer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import timedelta

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
    loop = PikaLoop()
    with bar("Outcomes" if wishes.wait else "Confirmed", len(publications)) as show:

        def look() -> None:
            waiting = posting.awaited if wishes.wait else ()
            show(len(publications) - len(waiting) if waiting else len(posting.fates))

        posting = Posting(
            loop,
            publications,
            Plan(
                Names(settings.namespace).events if wishes.wait else None,
                wishes.patience.total_seconds(),
                Pacer(wishes.rates, now=loop.now(), taken=()) if wishes.rates else None,
            ),
            heard=heard,
            look=look,
            ended=lambda: visit.close(loop.stop),
        )
        visit = Visit(
            loop,
            [url.get_secret_value() for url in settings.amqp_urls],
            version=version("task-edit-worker"),
            heartbeat=settings.heartbeat,
            up=posting.start,
            lost=posting.lost,
        )
        loop.post(visit.open)
        with _interrupted(lambda: loop.post(posting.stop)):
            loop.run()
    return posting


@contextmanager
def _interrupted(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` on Ctrl-C and SIGTERM meanwhile, instead of ending right there."""
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: stop()) for number in signals]
    try:
        yield
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)
