"""Publish, confirm, ack: how a delivery ends, in the only place that acks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Protocol

import structlog

from worker.core.settlement import Settlement

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.core.message import Delivery, Publication, Source
    from worker.loop import Loop

log = structlog.get_logger()

REFUSALS = 3
SECONDS_BETWEEN_REFUSALS = 5.0
SECONDS_BETWEEN_TRIES = 1.0
"""Between tries of a letter that the broker does not take: there is nowhere else for it."""


class ConfirmResult(Enum):
    """What the broker said of a publication."""

    CONFIRMED = "confirmed"
    REFUSED = "refused"
    """Nacked: a queue bound to the exchange would not have it."""
    UNROUTABLE = "unroutable"
    """Confirmed and returned: no queue is bound."""
    UNWANTED = "unwanted"
    """Not published: the delivery went back to the queue before the broker could be reached."""


class Publisher(Protocol):
    """Publishes with confirms; what a lost connection swallowed is published again."""

    def publish(
        self,
        publication: Publication,
        wanted: Callable[[], bool],
        done: Callable[[ConfirmResult], None],
    ) -> None:
        """Publish on the loop's thread; `done` is called there too, once.

        `wanted` is asked before each try, for nothing may be published for a delivery that has
        gone back to its queue.
        """


class Replies(Protocol):
    """Publishes to `reply_to` addresses, best effort."""

    def publish(self, publication: Publication) -> None:
        """Publish soon, or not at all."""


@dataclass(slots=True, eq=False)
class PendingSettlement:
    """A delivery on its way out."""

    settlement: Settlement
    delivery: Delivery
    source: Source
    done: Callable[[PendingSettlement], None]
    out: bool = False
    """Its event is confirmed."""
    refusals: int = 0

    def wanted(self) -> bool:
        """Whether it is ours still to settle."""
        return self.source.alive


class Settler:
    """Carries out settlements. `unconfirmed` publications are counted for the metrics."""

    def __init__(
        self,
        loop: Loop,
        publisher: Publisher,
        replies: Replies,
        journal: str,
        journal_missing: Callable[[], bool] = lambda: False,
        vanished: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`journal`: the stream's queue; `journal_missing`: whether the broker has none.

        `vanished` is told what a publication did not find that ought to be there.
        """
        self._loop = loop
        self._publisher = publisher
        self._replies = replies
        self._journal = journal
        self._refusing = False
        self._journal_missing = journal_missing
        self._vanished = vanished
        self.unconfirmed = 0
        self.events_refused = 0
        self.letters_refused = 0

    def carry_out(
        self,
        settlement: Settlement,
        delivery: Delivery,
        source: Source,
        done: Callable[[PendingSettlement], None],
    ) -> None:
        """Publish the letter, then the event, then ack; each step only once the last is sure.

        `done` is called at the end, whether acked or (when the delivery went back) not.
        """
        closing = PendingSettlement(settlement, delivery, source, done)
        self.unconfirmed += 1
        if settlement.letter is None:
            self._publish_event(closing, settlement.event)
        else:
            self._publish_letter(closing, settlement.letter)

    def hand_on(
        self,
        publication: Publication,
        delivery: Delivery,
        source: Source,
        done: Callable[[PendingSettlement], None],
    ) -> None:
        """Publish a delivery to another lane, then ack it; tried until that lane has it."""
        closing = PendingSettlement(Settlement(publication), delivery, source, done)
        self.unconfirmed += 1
        self._publish_to_lane(closing, publication)

    def _publish_to_lane(self, closing: PendingSettlement, publication: Publication) -> None:
        def sure(fate: ConfirmResult) -> None:
            match fate:
                case ConfirmResult.CONFIRMED:
                    closing.out = True
                    closing.source.ack(closing.delivery.tag, partial(self._end, closing))
                case ConfirmResult.UNWANTED:
                    self._end(closing)
                case ConfirmResult.REFUSED | ConfirmResult.UNROUTABLE:
                    log.warning("lane_refused", fate=fate.value, queue=publication.routing_key)
                    self._loop.call_later(SECONDS_BETWEEN_TRIES, again)

        def again() -> None:
            self._publish_to_lane(closing, publication)

        self._publisher.publish(publication, closing.wanted, sure)

    def _publish_letter(self, closing: PendingSettlement, letter: Publication) -> None:
        def sure(fate: ConfirmResult) -> None:
            match fate:
                case ConfirmResult.CONFIRMED:
                    self._publish_event(closing, closing.settlement.event)
                case ConfirmResult.UNWANTED:
                    self._end(closing)
                case ConfirmResult.REFUSED | ConfirmResult.UNROUTABLE:
                    self.letters_refused += 1
                    if fate is ConfirmResult.UNROUTABLE:
                        self._vanished(f"no queue is bound to the exchange {letter.exchange}")
                    log.error("dead_letter_refused", fate=fate.value, exchange=letter.exchange)
                    self._loop.call_later(SECONDS_BETWEEN_TRIES, again)

        def again() -> None:
            self._publish_letter(closing, letter)

        self._publisher.publish(letter, closing.wanted, sure)

    def _publish_event(self, closing: PendingSettlement, event: Publication) -> None:
        def sure(fate: ConfirmResult) -> None:
            match fate:
                case ConfirmResult.CONFIRMED:
                    self._refusing = self._refusing and event.exchange == ""
                    self._finish(closing)
                case ConfirmResult.UNWANTED:
                    self._end(closing)
                case ConfirmResult.REFUSED | ConfirmResult.UNROUTABLE:
                    self._event_refused(closing, event, fate)

        self._publisher.publish(event, closing.wanted, sure)

    def _event_refused(
        self, closing: PendingSettlement, event: Publication, fate: ConfirmResult
    ) -> None:
        """A subscriber that refuses holds nobody up: the journal alone has to have the event.

        While one is known to refuse, later events are offered to the exchange once.
        """
        if event.exchange == "":
            self._journal_refused(closing, event, fate)
            return
        if fate is ConfirmResult.UNROUTABLE and not self._journal_missing():
            self._vanished(f"no queue is bound to the exchange {event.exchange}")
        closing.refusals += 1
        if fate is ConfirmResult.REFUSED and closing.refusals < REFUSALS and not self._refusing:
            self._loop.call_later(
                SECONDS_BETWEEN_REFUSALS, lambda: self._publish_event(closing, event)
            )
            return
        if not self._refusing:
            log.error("events_refused", exchange=event.exchange, fate=fate.value)
        self._refusing = True
        self.events_refused += 1
        self._publish_event(closing, replace(event, exchange="", routing_key=self._journal))

    def _journal_refused(
        self, closing: PendingSettlement, event: Publication, fate: ConfirmResult
    ) -> None:
        if fate is ConfirmResult.UNROUTABLE and self._journal_missing():
            self._finish(closing)  # nobody is subscribed, and there is no journal to keep it
            return
        if fate is ConfirmResult.UNROUTABLE:
            self._vanished(f"there is no queue {self._journal}")
        log.error("journal_refused", fate=fate.value, queue=event.routing_key)
        self._loop.call_later(SECONDS_BETWEEN_TRIES, lambda: self._publish_event(closing, event))

    def _finish(self, closing: PendingSettlement) -> None:
        closing.out = True
        if closing.settlement.reply is not None:
            self._reply(closing.settlement.reply)
        closing.source.ack(closing.delivery.tag, partial(self._end, closing))

    def _reply(self, reply: Publication) -> None:
        """Nothing waits for a reply, and no failure of one may reach the ack."""
        try:
            self._replies.publish(reply)
        except Exception:
            log.exception("reply_failed")

    def _end(self, closing: PendingSettlement) -> None:
        self.unconfirmed -= 1
        closing.done(closing)
