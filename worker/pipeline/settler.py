"""Publish, confirm, ack: how a delivery ends, in the only place that acks."""

from __future__ import annotations

from asyncio import sleep
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import structlog

from worker.core.message import ConfirmResult

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from worker.core.message import Delivery, Publication, Source
    from worker.core.settlement import Settlement

log = structlog.get_logger()

REFUSALS = 3
SECONDS_BETWEEN_REFUSALS = 5.0
SECONDS_BETWEEN_TRIES = 1.0
"""Between tries of a letter that the broker does not take: there is nowhere else for it."""


class Publisher(Protocol):
    """Publishes with confirms; what a lost connection swallowed is published again."""

    def publish(
        self, publication: Publication, wanted: Callable[[], bool]
    ) -> Awaitable[ConfirmResult]:
        """Publish, and give what the broker said.

        `wanted` is asked before each try, for nothing may be published for a delivery that has
        gone back to its queue.
        """


class Replies(Protocol):
    """Publishes to `reply_to` addresses, best effort."""

    def publish(self, publication: Publication) -> None:
        """Publish soon, or not at all."""


class Settler:
    """Carries out settlements. `unconfirmed` publications are counted for the metrics."""

    def __init__(
        self,
        publisher: Publisher,
        replies: Replies,
        journal: str,
        journal_missing: Callable[[], bool] = lambda: False,
        vanished: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`journal`: the stream's queue; `journal_missing`: whether the broker has none.

        `vanished` is told what a publication did not find that ought to be there.
        """
        self._publisher = publisher
        self._replies = replies
        self._journal = journal
        self._refusing = False
        self._journal_missing = journal_missing
        self._vanished = vanished
        self.unconfirmed = 0
        self.events_refused = 0
        self.letters_refused = 0

    async def carry_out(self, settlement: Settlement, delivery: Delivery, source: Source) -> bool:
        """Publish the letter, then the event, then ack; each step only once the last is sure.

        Returns when the ack has left the process: whether the event is confirmed. If not, the
        delivery went back to its queue before that.
        """
        self.unconfirmed += 1
        try:
            letter = settlement.letter
            if letter is not None and not await self._publish_letter(letter, source):
                return False
            if not await self._publish_event(settlement.event, source):
                return False
            if settlement.reply is not None:
                self._reply(settlement.reply)
            await source.ack(delivery.tag)
            return True
        finally:
            self.unconfirmed -= 1

    async def hand_on(self, publication: Publication, delivery: Delivery, source: Source) -> bool:
        """Publish a delivery to another lane, then ack it; tried until that lane has it.

        Returns when the ack has left the process: whether the lane has it. If not, the delivery
        went back to its queue before that.
        """
        self.unconfirmed += 1
        try:
            while True:
                said = await self._publisher.publish(publication, lambda: source.alive)
                if said is ConfirmResult.CONFIRMED:
                    await source.ack(delivery.tag)
                    return True
                if said is ConfirmResult.UNWANTED:
                    return False
                log.warning("lane_refused", fate=said.value, queue=publication.routing_key)
                await sleep(SECONDS_BETWEEN_TRIES)
        finally:
            self.unconfirmed -= 1

    async def _publish_letter(self, letter: Publication, source: Source) -> bool:
        """Whether the letter is confirmed; False when the delivery is not ours any more."""
        while True:
            said = await self._publisher.publish(letter, lambda: source.alive)
            if said is ConfirmResult.CONFIRMED:
                return True
            if said is ConfirmResult.UNWANTED:
                return False
            self.letters_refused += 1
            if said is ConfirmResult.UNROUTABLE:
                self._vanished(f"no queue is bound to the exchange {letter.exchange}")
            log.error("dead_letter_refused", fate=said.value, exchange=letter.exchange)
            await sleep(SECONDS_BETWEEN_TRIES)

    async def _publish_event(self, event: Publication, source: Source) -> bool:
        """Whether the event is confirmed; False when the delivery is not ours any more.

        A subscriber that refuses holds nobody up: the journal alone has to have the event. While
        one is known to refuse, later events are offered to the exchange once.
        """
        refusals = 0
        while True:
            said = await self._publisher.publish(event, lambda: source.alive)
            if said is ConfirmResult.CONFIRMED:
                self._refusing = False
                return True
            if said is ConfirmResult.UNWANTED:
                return False
            if said is ConfirmResult.UNROUTABLE and not self._journal_missing():
                self._vanished(f"no queue is bound to the exchange {event.exchange}")
            refusals += 1
            if said is ConfirmResult.UNROUTABLE or refusals >= REFUSALS or self._refusing:
                break
            await sleep(SECONDS_BETWEEN_REFUSALS)
        if not self._refusing:
            log.error("events_refused", exchange=event.exchange, fate=said.value)
        self._refusing = True
        self.events_refused += 1
        to_journal = replace(event, exchange="", routing_key=self._journal)
        return await self._publish_to_journal(to_journal, source)

    async def _publish_to_journal(self, event: Publication, source: Source) -> bool:
        while True:
            said = await self._publisher.publish(event, lambda: source.alive)
            if said is ConfirmResult.UNROUTABLE and self._journal_missing():
                return True  # nobody is subscribed, and there is no journal to keep it
            if said in {ConfirmResult.CONFIRMED, ConfirmResult.UNWANTED}:
                return said is ConfirmResult.CONFIRMED
            if said is ConfirmResult.UNROUTABLE:
                self._vanished(f"there is no queue {self._journal}")
            log.error("journal_refused", fate=said.value, queue=event.routing_key)
            await sleep(SECONDS_BETWEEN_TRIES)

    def _reply(self, reply: Publication) -> None:
        """Nothing waits for a reply, and no failure of one may reach the ack."""
        try:
            self._replies.publish(reply)
        except Exception:
            log.exception("reply_failed")
