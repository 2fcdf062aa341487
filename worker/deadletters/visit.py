"""RabbitMQ for as long as a command lasts: connected, and left in good order."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from schemas import Names
from worker.amqp.visit import Visit
from worker.loop import Loop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import timedelta

    from pika.connection import Connection  # noqa: TID251 (its type, never pika itself)

    from worker.settings import Settings


@dataclass(frozen=True, slots=True)
class Broker:
    """Where RabbitMQ is, and what our objects in it are called."""

    urls: tuple[str, ...]
    heartbeat: timedelta
    names: Names
    version: str

    @classmethod
    def of(cls, settings: Settings, version: str) -> Broker:
        """The broker that the settings name."""
        urls = tuple(url.get_secret_value() for url in settings.amqp_urls)
        return cls(urls, settings.heartbeat, Names(settings.namespace), version)


class VisitFailureKind(Enum):
    """What kept a command from its work."""

    ABSENT = "absent"
    """RabbitMQ, or a queue in it, is not there (any more)."""
    NO_STREAM = "no stream"
    """There is no journal to read."""
    BUSY = "busy"
    """Another command of the kind is at it."""
    STOPPED = "stopped"
    """By Ctrl-C."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class VisitFailure:
    """Why a visit ended before its work was done."""

    kind: VisitFailureKind
    why: str
    """The rest of a sentence, for people."""


class Errand:
    """One visit: `begin` is called when connected, and whoever works then calls `end`."""

    def __init__(
        self,
        broker: Broker,
        begin: Callable[[Connection], None],
        stop: Callable[[], None] | None = None,
    ) -> None:
        """`stop` is called on Ctrl-C and SIGTERM; without one, or at the second, it just ends."""
        self.loop = Loop()
        self.trouble: VisitFailure | None = None
        self._stop = stop
        self._is_over = False
        self._visit = Visit(
            self.loop,
            broker.urls,
            version=broker.version,
            heartbeat=broker.heartbeat,
            up=begin,
            lost=lambda why: self.end(VisitFailure(VisitFailureKind.ABSENT, why)),
        )

    @property
    def blocked(self) -> str | None:
        """Why RabbitMQ takes no publications at the moment; None when it does."""
        return self._visit.blocked

    def run(self) -> VisitFailure | None:
        """Visit, and return when it is over: with nothing, or with what went wrong."""
        self.loop.post(self._visit.open)
        with interrupted(lambda: self.loop.post(self._interrupt)):
            self.loop.run()
        return self.trouble

    def end(self, trouble: VisitFailure | None = None) -> None:
        """Leave; the first call counts."""
        if not self._is_over:
            self._is_over = True
            self.trouble = trouble
            self._visit.close(self.loop.stop)

    def _interrupt(self) -> None:
        stop, self._stop = self._stop, None
        if stop is None:
            self.end(VisitFailure(VisitFailureKind.STOPPED, "stopped"))
        else:
            stop()


@contextmanager
def interrupted(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` on Ctrl-C and SIGTERM meanwhile, instead of ending right there."""
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: stop()) for number in signals]
    try:
        yield
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)
