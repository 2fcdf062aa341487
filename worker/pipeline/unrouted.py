"""Messages that reached no lane, or were taken from one by the broker: settled like the rest."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import structlog

from schemas import Bounds, Reason
from worker.core.decode import decode, unread
from worker.core.unrouted import account_of, why_stray
from worker.core.verdict import Rejected
from worker.pipeline.completion import Completion
from worker.pipeline.counters import LaneCounters
from worker.pipeline.refusals import Refusals

if TYPE_CHECKING:
    from collections.abc import Iterable

    from worker.core.message import Delivery, Source
    from worker.pipeline.context import LaneContext

log = structlog.get_logger()


class Strays:
    """Takes deliveries of the strays' queue and rejects each with why it is there."""

    def __init__(self, shared: LaneContext) -> None:
        self.tally = LaneCounters()
        self.unconfirmed = 0
        self._shared = shared
        self._outcomes = Completion(shared, self.tally)
        self._refusals = Refusals(shared.loop, shared.refusing)
        self.is_open = False
        self.draining = False

    @property
    def is_quiet(self) -> bool:
        """Nothing is unconfirmed."""
        return self.unconfirmed == 0

    @property
    def is_empty(self) -> bool:
        """Nothing that was delivered is held: all is settled."""
        return self.is_quiet and not self._refusals

    def deliver(self, delivery: Delivery, source: Source) -> None:
        """Take a delivery."""
        self.tally.deliveries += 1
        self.tally.redeliveries += delivery.redelivered
        self._refusals.put(partial(self._settle, delivery, source))

    def open(self, taken: Iterable[float] | None = None, term: int | None = None) -> None:
        """What was settled before is known."""
        del taken, term  # nothing is called, so nothing is paced, and there is no order to keep
        self.is_open = True

    def lost(self) -> None:
        """The channel is gone, and what was unacked is back in the queue."""
        self._refusals.clear()
        self.is_open = False

    def drain(self) -> None:
        """Take no more; what is being settled is settled."""
        self.draining = True

    def pump(self) -> None:
        """Nothing here waits for anything but the broker."""

    def tick(self) -> None:
        """Nothing here has a clock."""

    async def _settle(self, delivery: Delivery, source: Source) -> None:
        if self.draining or not source.alive:
            return
        names, account = self._shared.signed.names, None
        try:
            account = account_of(delivery, names)
            bounds = Bounds(app_ids=self._shared.ownership.app_ids(account))
            head, verdict = decode(delivery, account, bounds).head, why_stray(delivery, names)
        except Exception:
            log.exception("decode_failed", account=account)
            detail = "a bug of the worker while reading; its log has the trace"
            head, verdict = unread(delivery, account), Rejected(Reason.INTERNAL, detail)
        self.unconfirmed += 1
        try:
            await self._outcomes.settle(delivery, source, head, verdict, attempts=0)
        finally:
            self.unconfirmed -= 1
