"""The end of a delivery: settled, remembered, counted, and told in one log line."""

from __future__ import annotations

from asyncio import Event
from dataclasses import replace
from datetime import UTC, datetime
from time import time
from typing import TYPE_CHECKING
from uuid import uuid4

import structlog

from schemas import Reason
from worker.core.dedup import Known
from worker.core.message import Properties
from worker.core.settlement import lanes_passed, outcome_of, settle, settle_again, settle_known
from worker.core.verdict import Applied, Rejected, Superseded

if TYPE_CHECKING:
    from worker.core.decode import MessageInfo
    from worker.core.identity import Identity, Place
    from worker.core.message import Delivery, Publication, Source
    from worker.core.settlement import Settlement
    from worker.core.tracing import Trace
    from worker.core.verdict import Ending
    from worker.pipeline.context import LaneContext
    from worker.pipeline.counters import LaneCounters

log = structlog.get_logger()


class Completion:
    """Settles one account's deliveries, or the strays, and keeps their count."""

    def __init__(self, shared: LaneContext, tally: LaneCounters) -> None:
        self._shared = shared
        self._tally = tally
        self._under_way: dict[Identity, Event] = {}
        """The end of each rejection that is being settled: the same message may come twice."""

    async def settle(
        self,
        delivery: Delivery,
        source: Source,
        head: MessageInfo,
        verdict: Ending,
        *,
        attempts: int,
        trace: Trace | None = None,
        place: Place | None = None,
    ) -> None:
        """Settle by a final verdict, unless this very message was settled before."""
        trace = trace or self._shared.trace(delivery, head.account)
        rejected = head.identity if isinstance(verdict, Rejected) else None
        while True:
            again = self.repeat(delivery, head)
            if again is not None:
                await self.settle_again(again, delivery, source, head, trace)
                return
            other = None if rejected is None else self._under_way.get(rejected)
            if other is None:
                break
            await other.wait()
        if rejected is None:
            await self._settle(delivery, source, head, verdict, attempts, trace, place)
            return
        ended = self._under_way[rejected] = Event()
        try:
            await self._settle(delivery, source, head, verdict, attempts, trace, place)
        finally:
            del self._under_way[rejected]
            ended.set()

    def repeat(self, delivery: Delivery, head: MessageInfo) -> Settlement | None:
        """How to settle a message that was settled before; None if this one was not."""
        if head.identity is None:
            return None
        memory, at = self._shared.memory, self._shared.loop.now()
        one, found = head.identity, memory.find(head.identity, at)
        # It, or a copy of it, may have been settled before the appId moved here.
        others = memory.accounts(head.app_id).union(lanes_passed(delivery))
        for name in others:
            if found is None and name != head.identity.account:
                one = replace(head.identity, account=name)
                found = memory.find(one, at)
        if isinstance(found, Known):
            now, by = datetime.now(UTC), self._shared.signed
            told = replace(head, account=one.account, identity=one)
            return settle_known(delivery, told, found, now=now, by=by)
        return None if found is None else settle_again(delivery, found)

    async def settle_again(
        self,
        settlement: Settlement,
        delivery: Delivery,
        source: Source,
        head: MessageInfo,
        trace: Trace | None,
    ) -> None:
        """Settle a repeat by its event of before."""
        self._tally.repeats += 1
        if await self._shared.settler.carry_out(settlement, delivery, source):
            self._line(delivery, settlement.event, head, trace, outcome="repeated")

    async def _settle(
        self,
        delivery: Delivery,
        source: Source,
        head: MessageInfo,
        verdict: Ending,
        attempts: int,
        trace: Trace | None,
        place: Place | None,
    ) -> None:
        try:
            settlement = self._settlement(delivery, head, verdict, attempts, trace, place)
        except Exception:
            log.exception("settlement_failed", account=head.account)
            trace = place = None
            head = replace(head, correlation_id=None, app_id=None, job_id=None, identity=None)
            verdict, settlement = self._bare(delivery, head, verdict, attempts)
        if await self._shared.settler.carry_out(settlement, delivery, source):
            try:
                if place is not None and head.job_id is not None and isinstance(verdict, Applied):
                    memory = self._shared.memory
                    memory.applied(head.account, head.job_id, place, head.message_id)
                self._tell(delivery, settlement.event, head, verdict, attempts, trace)
            except Exception:  # it has nobody else to harm
                log.exception("telling_failed", account=head.account)

    def _settlement(
        self,
        delivery: Delivery,
        head: MessageInfo,
        verdict: Ending,
        attempts: int,
        trace: Trace | None = None,
        place: Place | None = None,
    ) -> Settlement:
        return settle(
            delivery,
            head,
            verdict,
            attempts=attempts,
            now=datetime.now(UTC),
            chance_id=lambda: str(uuid4()),
            by=self._shared.signed,
            trace=None if trace is None else trace.publish(),
            place=place,
        )

    def _bare(
        self, delivery: Delivery, head: MessageInfo, verdict: Ending, attempts: int
    ) -> tuple[Ending, Settlement]:
        """The end of an edit that cannot be settled as it is, without all that may be the cause.

        What came of its call stays true; of any other the reason is a bug of ours.
        """
        own = Properties(message_id=delivery.properties.message_id)
        bare = replace(delivery, exchange="", routing_key="", properties=own)
        if isinstance(verdict, Rejected):
            verdict = Rejected(Reason.INTERNAL, "a bug of the worker while settling; see its log")
        return verdict, self._settlement(bare, head, verdict, attempts)

    def _tell(
        self,
        delivery: Delivery,
        event: Publication,
        head: MessageInfo,
        verdict: Ending,
        attempts: int,
        trace: Trace | None,
    ) -> None:
        """Remember, count and log what has ended."""
        self._remember(head, event)
        now = time()
        reason = verdict.reason.value if isinstance(verdict, Rejected) else ""
        outcome = outcome_of(verdict)
        self._tally.outcomes[outcome, reason] += 1
        if outcome == "applied":
            self._tally.last_success = now
        since = delivery.properties.timestamp
        published = since if since and since < now else None
        seconds = now - (published or delivery.received_at.timestamp())
        self._tally.outcome_seconds.add(seconds)
        extra: dict[str, object] = {"attempts": attempts, "seconds": round(seconds, 3)}
        match verdict:
            case Applied():
                extra |= {"api_status": verdict.status}
            case Rejected():
                extra |= {"api_status": verdict.status, "reason": reason, "detail": verdict.detail}
            case Superseded():
                extra |= {"superseded_by": verdict.by}
        self._line(delivery, event, head, trace, outcome=outcome, **extra)

    def _remember(self, head: MessageInfo, event: Publication) -> None:
        if head.identity is None:
            return
        memory = self._shared.memory
        memory.keep(event, self._shared.loop.now())
        if head.app_id is not None and head.account is not None:
            memory.settled(head.app_id, head.account)
        self._tally.conflicts += memory.conflicts(head.identity)

    @staticmethod
    def _line(
        delivery: Delivery,
        event: Publication,
        head: MessageInfo,
        trace: Trace | None,
        *,
        outcome: str,
        **facts: object,
    ) -> None:
        """The canonical log line: one an edit, ids and outcome, never its content."""
        if trace is not None:
            trace.end(outcome, str(facts.get("reason", "")))
            facts["trace_id"] = trace.trace_id
        log.info(
            "edit",
            account=head.account,
            app_id=head.app_id,
            job_id=head.job_id,
            message_id=head.message_id,
            correlation_id=head.correlation_id,
            event_id=event.properties.message_id,
            redelivered=delivery.redelivered,
            outcome=outcome,
            **facts,
        )
