"""The end of a delivery: settled, remembered, counted, and told in one log line."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from time import time
from typing import TYPE_CHECKING
from uuid import uuid4

import structlog

from schemas import Reason
from worker.core.dedup import Known
from worker.core.message import Properties
from worker.core.settlement import lanes_passed, settle, settle_again, settle_known
from worker.core.verdict import Applied, Rejected

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.core.decode import MessageInfo
    from worker.core.identity import Identity, Place
    from worker.core.message import Delivery, Publication, Source
    from worker.core.tracing import Trace
    from worker.pipeline.context import LaneContext
    from worker.pipeline.counters import LaneCounters
    from worker.pipeline.settler import PendingSettlement

log = structlog.get_logger()


class Completion:
    """Settles one account's deliveries, or the strays, and keeps their count."""

    def __init__(self, shared: LaneContext, tally: LaneCounters) -> None:
        self._shared = shared
        self._tally = tally
        self._closing: dict[Identity, list[Callable[[], None]]] = {}
        """Rejections under way, and what waits for each: the same message, delivered twice."""

    def settle(  # noqa: PLR0913 (all that an event and a letter tell of)
        self,
        delivery: Delivery,
        source: Source,
        head: MessageInfo,
        verdict: Applied | Rejected,
        *,
        attempts: int,
        done: Callable[[], None],
        trace: Trace | None = None,
        place: Place | None = None,
    ) -> None:
        """Settle by a final verdict, unless this very message was settled before."""
        try:
            settling = partial(self._settle, attempts=attempts, done=done, trace=trace, place=place)
            settling(delivery, source, head, verdict)
        except Exception:
            log.exception("settlement_failed", account=head.account)
            self._settle_bare(delivery, source, head, verdict, attempts=attempts, done=done)

    def _settle_bare(
        self,
        delivery: Delivery,
        source: Source,
        head: MessageInfo,
        verdict: Applied | Rejected,
        *,
        attempts: int,
        done: Callable[[], None],
    ) -> None:
        """Settle an edit that cannot be settled as it is, without all that may be the cause.

        What came of its call stays true; of any other the reason is a bug of ours.
        """
        bare = replace(
            delivery,
            exchange="",
            routing_key="",
            properties=Properties(message_id=delivery.properties.message_id),
        )
        if isinstance(verdict, Rejected):
            verdict = Rejected(Reason.INTERNAL, "a bug of the worker while settling; see its log")
        known = replace(head, correlation_id=None, app_id=None, job_id=None, identity=None)
        settlement = settle(
            bare,
            known,
            verdict,
            attempts=attempts,
            now=datetime.now(UTC),
            chance_id=_random_id,
            by=self._shared.signed,
        )

        def closed(closing: PendingSettlement) -> None:
            if closing.out:
                self._tell(closing, known, verdict, attempts, None)
            done()

        self._shared.settler.carry_out(settlement, delivery, source, closed)

    def _settle(  # noqa: PLR0913 (all that an event and a letter tell of)
        self,
        delivery: Delivery,
        source: Source,
        head: MessageInfo,
        verdict: Applied | Rejected,
        *,
        attempts: int,
        done: Callable[[], None],
        trace: Trace | None,
        place: Place | None,
    ) -> None:
        trace = trace or self._shared.trace(delivery, head.account)
        if self.repeat(delivery, source, head, done=done, trace=trace):
            return
        if head.identity is not None and isinstance(verdict, Rejected):
            waiting = self._closing.get(head.identity)
            if waiting is not None:
                again = partial(self.settle, delivery, source, head, verdict)
                waiting.append(
                    partial(again, attempts=attempts, done=done, trace=trace, place=place)
                )
                return
            self._closing[head.identity] = []
        settlement = settle(
            delivery,
            head,
            verdict,
            attempts=attempts,
            now=datetime.now(UTC),
            chance_id=_random_id,
            by=self._shared.signed,
            trace=None if trace is None else trace.publish(),
            place=place,
        )

        def closed(closing: PendingSettlement) -> None:
            if closing.out:
                if place is not None and head.job_id is not None and isinstance(verdict, Applied):
                    memory = self._shared.memory
                    memory.applied(head.account, head.job_id, place, head.message_id)
                self._tell(closing, head, verdict, attempts, trace)
            done()
            if self._closing and head.identity:
                for settle_repeat in self._closing.pop(head.identity, ()):
                    settle_repeat()

        self._shared.settler.carry_out(settlement, delivery, source, closed)

    def repeat(
        self,
        delivery: Delivery,
        source: Source,
        head: MessageInfo,
        *,
        done: Callable[[], None],
        trace: Trace | None = None,
    ) -> bool:
        """Settle a repeat by its event of before; False if this message is none."""
        if head.identity is None:
            return False
        find, at = self._shared.memory.find, self._shared.loop.now()
        found = find(head.identity, at)
        if found is None:  # a copy of it may have been settled before the appId moved here
            passed = (replace(head.identity, account=name) for name in lanes_passed(delivery))
            found = next((known for own in passed if (known := find(own, at))), None)
        if found is None:
            return False
        if isinstance(found, Known):
            now, by = datetime.now(UTC), self._shared.signed
            settlement = settle_known(delivery, head, found, now=now, by=by)
        else:
            settlement = settle_again(delivery, found)
        self._tally.repeats += 1

        def closed(closing: PendingSettlement) -> None:
            if closing.out:
                self._line(closing, head, trace, outcome="repeated")
            done()

        self._shared.settler.carry_out(settlement, delivery, source, closed)
        return True

    def _tell(
        self,
        closing: PendingSettlement,
        head: MessageInfo,
        verdict: Applied | Rejected,
        attempts: int,
        trace: Trace | None,
    ) -> None:
        """Remember, count and log what has ended; a failure here has nobody else to harm."""
        try:
            self._count(closing, head, verdict, attempts, trace)
        except Exception:
            log.exception("telling_failed", account=head.account)

    def _count(
        self,
        closing: PendingSettlement,
        head: MessageInfo,
        verdict: Applied | Rejected,
        attempts: int,
        trace: Trace | None,
    ) -> None:
        self._remember(head, closing.settlement.event)
        now = time()
        reason = verdict.reason.value if isinstance(verdict, Rejected) else ""
        outcome = "applied" if isinstance(verdict, Applied) else "rejected"
        self._tally.outcomes[outcome, reason] += 1
        if outcome == "applied":
            self._tally.last_success = now
        since = closing.delivery.properties.timestamp
        published = since if since and since < now else None
        seconds = now - (published or closing.delivery.received_at.timestamp())
        self._tally.outcome_seconds.add(seconds)
        extra: dict[str, object] = {"attempts": attempts, "seconds": round(seconds, 3)}
        if isinstance(verdict, Rejected):
            extra |= {"reason": reason, "detail": verdict.detail}
        self._line(closing, head, trace, outcome=outcome, api_status=verdict.status, **extra)

    def _remember(self, head: MessageInfo, event: Publication) -> None:
        if head.identity is None:
            return
        memory = self._shared.memory
        memory.keep(event, self._shared.loop.now())
        self._tally.conflicts += memory.conflicts(head.identity)

    @staticmethod
    def _line(
        closing: PendingSettlement,
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
            event_id=closing.settlement.event.properties.message_id,
            redelivered=closing.delivery.redelivered,
            outcome=outcome,
            **facts,
        )


def _random_id() -> str:
    return str(uuid4())
