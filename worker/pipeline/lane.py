"""An account at work: deliveries come in, calls go out in order and at its pace, replies settle.

Everything here happens on the loop's thread; only `CallerPool` has threads of its own.
"""

from __future__ import annotations

from asyncio import sleep
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING

import structlog

from schemas import Reason
from worker.core.circuit import State
from worker.core.coalescing import newest_covering, stated_fields
from worker.core.decode import Edit, Undecodable, decode, unread
from worker.core.identity import Place, place_of, redrives, superseded
from worker.core.job_queue import HeldEdit, JobQueue
from worker.core.message import ConfirmResult
from worker.core.rate_limit import VALID_FOR, Pacer, Slots, block, send_limiter
from worker.core.settlement import handed_on, lanes_passed, published_to
from worker.core.verdict import Applied, Rejected, Retry, Superseded, Suspend
from worker.loop import Mailbox
from worker.pipeline.account_state import AccountState
from worker.pipeline.callers import ApiCall, CallerPool
from worker.pipeline.completion import Completion
from worker.pipeline.counters import LaneCounters
from worker.pipeline.refusals import Refusals

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

    from schemas import ControlEntry
    from worker.account import Account
    from worker.core.decode import MessageInfo
    from worker.core.message import Delivery, Source
    from worker.core.rate_limit import Rate
    from worker.core.verdict import Ending, Verdict
    from worker.pipeline.callers import Caller
    from worker.pipeline.context import LaneContext, Reserve

log = structlog.get_logger()

ACK_SETTLES_IN = 0.2
"""Seconds that the last acks need to be taken by RabbitMQ before the channel may be closed."""
SOLO_LOOKS_EVERY = 0.05
OTHERS_FIRST = 1.0
"""Seconds in which others begin before a suspect that lets them: see `Record`."""
EARLY_ENOUGH = 0.0005
SLOTS_AGAIN_IN = 1.0
"""Seconds until slots are asked for again that the journal did not take."""
SHORTAGE_LASTS = 1.0
"""Seconds until an edit is called again that this machine lacked something for."""
LONGEST_PAUSE = 30.0
"""Seconds between two times that an edit is handed on, while replicas do not agree on its lane."""

_POISON = Rejected(
    Reason.POISON,
    "it ended the worker's process three times while called alone, and others did not",
)


@dataclass(frozen=True, slots=True)
class _Past:
    """What was learned of an edit before its window went back."""

    attempts: int
    failures: int
    failed_at: int | None
    failed_with: str | None


class Lane:
    """Takes deliveries of one account, has the API called for them, and settles them.

    Before the first delivery, and again after `lost`, `open` says that what was settled before is
    known.
    """

    def __init__(
        self,
        account: Account,
        caller: Caller,
        shared: LaneContext,
        *,
        hold: float = 1200.0,
        callers: type[CallerPool] = CallerPool,
    ) -> None:
        """`hold`: how long a delivery may be kept unacked at most, in seconds."""
        now = shared.loop.now()
        self.account = account
        self.tally = LaneCounters()
        self.window = JobQueue()
        self.standing = AccountState(account, self.tally, now)
        self.in_flight = 0
        self.unconfirmed = 0
        """Edits whose settlement RabbitMQ has not confirmed: called, or known without a call."""
        self.refusing = 0
        """The same of messages that no call can be made of; these wait for nothing."""
        self.threads = account.concurrency
        """At most so many calls at once, for this machine's sake: see `worker.pipeline.threads`."""
        self.is_open = False
        self.closed_at = now
        """Since when it serves nobody, while it is not open; in monotonic seconds."""
        self.draining = False
        self.returning = False
        self.paused: ControlEntry | None = None
        """What an operator has written down to stop it; None while it may work."""
        self.idle_since = now
        """When there was last nothing to send, or something was sent, in monotonic seconds."""
        self._shared = shared
        self._hold = hold
        self._source: Source | None = None
        self._number = 0
        self._term: int | None = None
        self._probed: frozenset[int] = frozenset()
        self._probing = False
        self._pumping = False
        self._past: dict[object, _Past] = {}
        self._unsettled: list[HeldEdit] = []
        """Edits whose settling raised: their jobs wait until the window has gone back."""
        self._leaving: list[HeldEdit] = []
        """Edits to hand on to other lanes, once they are the first of their jobs."""
        self._timer: tuple[float, object] | None = None
        self._pacer = Pacer(account.rates, now=now, taken=())
        self._slots = Slots()
        self._reserving: object | None = None
        self._outcomes = Completion(shared, self.tally)
        self._refusals = Refusals(shared.loop, shared.refusing)
        self._replies: Mailbox[ApiCall] = Mailbox(shared.loop, _returned)
        self._callers = callers(account.name, caller, self._may_call, self._replies.put)
        self._callers.departures = send_limiter(account.rates)

    # Deliveries come in

    def deliver(self, delivery: Delivery, source: Source) -> None:
        """Take a delivery from the lane's queue; `open` comes before the first."""
        self._source = source
        self.tally.deliveries += 1
        self.tally.redeliveries += delivery.redelivered
        if self.draining or self.returning:
            return  # unacked, it goes back with the rest when the channel is closed
        self._read(delivery, source)
        self._pump_soon()

    def open(self, taken: Iterable[float] | None = None, term: int | None = None) -> None:
        """What was settled before is known. `taken`: when calls were made before, if known.

        `term`: the journal's offset up to which that was read, if there is a journal.
        """
        self._term = term
        self._pacer = self._pacer.resumed(now=self._shared.loop.now(), taken=taken)
        self.is_open = True

    @property
    def state(self) -> str:
        """``paused``, or the state of the account's health."""
        return "paused" if self.paused is not None else self.standing.health.state.value

    def pause(self, entry: ControlEntry | None) -> bool:
        """Start no call any more and give the window back; or, with None, work again.

        Whether there is a window to give back: the channel is closed when that is done.
        """
        if (entry and entry.id) == (self.paused and self.paused.id):
            return self._source is not None
        self.paused = entry
        if entry is None:
            log.info("account_resumed", account=self.account.name)
        else:
            log.info("account_paused", account=self.account.name, by=entry.actor, why=entry.why)
            if self._source is not None:
                self.returning = True
                self._moved()
        return self._source is not None

    def lost(self) -> None:
        """The channel is gone, and every unacked delivery is back in the queue, in order."""
        self._past = {
            _key(waiting): _Past(
                waiting.attempts, waiting.failures, waiting.failed_at, waiting.failed_with
            )
            for waiting in self.window
            if waiting.failed_at is not None or waiting.failures
        }
        for waiting in self._unsettled:
            self.window.remove(waiting)
        self._unsettled.clear()
        self.window.clear()
        self._refusals.clear()
        self._leaving.clear()
        self._slots.clear()
        self._reserving = None
        self.standing.forget_streak()
        self._source = None
        if self.is_open:
            self.closed_at = self._shared.loop.now()
        self.is_open = False
        self.returning = False

    def _read(self, delivery: Delivery, source: Source) -> None:
        begun = self._shared.loop.now()
        self._number += 1
        stamped = None if self._term is None else Place(self._term, self._number)
        place = place_of(delivery, stamped)
        try:
            read = decode(delivery, self.account.name, self.account.bounds)
            owner = self._another_owner(read.head, delivery)
        except Exception:
            log.exception("decode_failed", account=self.account.name)
            read = Undecodable(unread(delivery, self.account.name), _internal("reading"))
            owner = None
        if owner is not None:
            read = Edit(read.head, read.head.job_id or -self._number - 1, b"")
        if isinstance(read, Undecodable):
            self._shared.refusing.use(begun, self._shared.loop.now() - begun)
            self._refusals.put(partial(self._refuse, delivery, source, read, place))
            return
        waiting = HeldEdit(delivery, source, read, self._number, self._shared.loop.now())
        waiting.place = place
        waiting.trace = self._shared.trace(
            delivery, self.account.name, self.account.endpoint.task_edit_url
        )
        past = self._past.pop(_key(waiting), None) if self._past else None
        if past is not None:
            waiting.attempts, waiting.failures = past.attempts, past.failures
            waiting.failed_at, waiting.failed_with = past.failed_at, past.failed_with
        waiting.alone = self._shared.suspects.known(delivery).runs_alone
        waiting.to = owner
        if self.account.coalesce and owner is None:
            waiting.fields = stated_fields(read, delivery)
            waiting.is_repeat = self._outcomes.repeat(delivery, read.head) is not None
        self.window.add(waiting)
        if owner is not None:
            self._leaving.append(waiting)

    def _another_owner(self, head: MessageInfo, delivery: Delivery) -> str | None:
        """The account that a message's appId belongs to, if it is not this one.

        Of one whose appId cannot be read its routing key counts: while an app moves, both lanes get
        a copy, and only one of them may reject it.
        """
        app_id = head.app_id
        if app_id is None:
            exchange, key = published_to(delivery)
            app_id = key if exchange == self._shared.signed.names.exchange else None
        if (
            app_id is None
            or not self.account.bounds.app_ids
            or app_id in self.account.bounds.app_ids
        ):
            return None
        return self._shared.ownership.owner(app_id)

    def holds(self, app_id: str) -> bool:
        """Whether it has an edit of that app."""
        return any(waiting.edit.head.app_id == app_id for waiting in self.window)

    async def _refuse(
        self, delivery: Delivery, source: Source, read: Undecodable, place: Place | None
    ) -> None:
        """Settle what no call can be made of; while the window goes back, it goes with it."""
        if self.draining or self.returning or not source.alive:
            return
        self.refusing += 1
        settle = self._outcomes.settle
        try:
            await settle(delivery, source, read.head, read.verdict, attempts=0, place=place)
        finally:
            self.refusing -= 1
        self._moved()

    # Calls go out

    def _may_call(self) -> bool:
        """Whether a call may leave at this moment; asked from its thread too."""
        return self.paused is None and self._shared.lease_holds()

    def pump(self) -> None:
        """Start every call that may start now, and have a look later for those that may not."""
        now = self._shared.loop.now()
        if self._leaving:
            self._hand_on()
        state = self.standing.look(now)
        if not self._shared.may_start():
            return  # who calls the pump again is told when RabbitMQ allows it
        while self._may_start(state):
            wait = max(self._pacer.wait(now), self.standing.closed_for(now))
            if wait <= 0 and not self._has_slot(state, now):
                return  # and goes on when the slots are confirmed
            waiting = None if wait > 0 else self._next(state, now)
            if waiting is None:
                self._look_later(now, wait)
                return
            if not self._settled_without_call(waiting) and not self._begin(waiting, now):
                self._look_later(now, SOLO_LOOKS_EVERY)
                if state is State.SUSPENDED:
                    return  # the next look probes the next job

    def _hand_on(self) -> None:
        """Claim what belongs to another lane and is the first of its job, and send it there.

        Neither pace nor suspension matters, for nothing is called. One that was handed on before
        has come back: replicas do not agree yet whose it is, and it waits a while in between.
        """
        if not self.is_open or self.draining or self.returning:
            return
        claimed = [waiting for waiting in self._leaving if self.window.claim(waiting)]
        self._leaving = [waiting for waiting in self._leaving if waiting not in claimed]
        for waiting in claimed:
            times = len(lanes_passed(waiting.delivery))
            pause = min(LONGEST_PAUSE, 2.0 ** (times - 1)) if times else 0.0
            self._shared.loop.spawn(self._send_on(waiting, pause))

    async def _send_on(self, waiting: HeldEdit, pause: float) -> None:
        await sleep(pause)
        owner = self._another_owner(waiting.edit.head, waiting.delivery)
        if not waiting.source.alive or self.draining or self.returning or owner is None:
            self.window.put_back(waiting, self._shared.loop.now())
            self._leaving.append(waiting)
            if owner is None and waiting.source.alive:
                self._take_anew()
            return
        self.refusing += 1
        queue = self._shared.signed.names.lane(owner)
        publication = handed_on(waiting.delivery, self.account.name, queue)
        try:
            hand_on = self._shared.settler.hand_on
            if await hand_on(publication, waiting.delivery, waiting.source):
                self.tally.handed_on += 1
                log.info("edit_handed_on", account=self.account.name, to=owner)
        finally:
            self.refusing -= 1
        self.window.remove(waiting)
        self._moved()

    def _take_anew(self) -> None:
        """Give the window back to read it again: what was another account's is this one's."""
        self.returning = True
        self._moved()

    def _pump_soon(self) -> None:
        """Pump once for all that happens in this turn of the loop."""
        if not self._pumping:
            self._pumping = True
            self._shared.loop.soon(self._pump_now)

    def _pump_now(self) -> None:
        self._pumping = False
        self.pump()

    def _may_start(self, state: State) -> bool:
        most = min(self.account.concurrency, self.threads)
        return (
            self.is_open
            and self.paused is None
            and not (self.draining or self.returning)
            and not (self._probing and state is State.SUSPENDED)
            and self.in_flight < most
            and self.unconfirmed < most
            and self._source is not None
            and self._source.alive
            and len(self.window) > 0
        )

    def _has_slot(self, state: State, now: float) -> bool:
        """Whether the long limits have a slot for a call; reserves more when they run short."""
        reserve = self._shared.reserve
        if reserve is None or len(self.account.rates) == 1:
            return True
        suspended = state is State.SUSPENDED
        left = self._slots.left(now)
        if not self.window.can_take(now, to_probe=suspended):
            return True
        waiting = 1 if suspended else max(1, len(self.window) - self.in_flight - self.unconfirmed)
        calls = block(self.account.rates, left, waiting)
        if calls and self._reserving is None and self._source is not None:
            self._reserving = asked = object()
            reserving = self._reserve(reserve, asked, self._source, calls, now + VALID_FOR)
            self._shared.loop.spawn(reserving)
        return left > 0

    async def _reserve(
        self, reserve: Reserve, asked: object, source: Source, calls: int, until: float
    ) -> None:
        """Set slots down in the journal; `asked` is forgotten when the lane is lost meanwhile."""

        def wanted() -> bool:
            return source.alive and asked is self._reserving

        said = await reserve(self.account.name, calls, wanted)
        if asked is self._reserving and said in {ConfirmResult.REFUSED, ConfirmResult.UNROUTABLE}:
            log.warning("slots_refused", account=self.account.name, fate=said.value)
            await sleep(SLOTS_AGAIN_IN)
        if asked is self._reserving:
            self._reserving = None
            if said is ConfirmResult.CONFIRMED:
                self._slots.add(calls, until)
            self._pump_soon()

    def _next(self, state: State, now: float) -> HeldEdit | None:
        if state is not State.SUSPENDED:
            self._probed = frozenset()
            return self.window.take(now)
        probe = self.window.take_probe(self._probed)
        if probe is None and self._probed:
            self._probed = frozenset()
            probe = self.window.take_probe(self._probed)
        if probe is not None:
            self._probed |= {probe.edit.job}
        return probe

    def _settled_without_call(self, waiting: HeldEdit) -> bool:
        """Settle a repeat, what was sent again too late, and what is known to end the process."""
        head, delivery, source = waiting.edit.head, waiting.delivery, waiting.source
        if waiting.rejected is not None:
            self._end_soon(waiting, self._settle(waiting, waiting.rejected, waiting.attempts))
            return True
        repeat = self._outcomes.repeat(delivery, head)
        if repeat is not None:
            again = self._outcomes.settle_again(repeat, delivery, source, head, waiting.trace)
            self._end_soon(waiting, again)
            return True
        is_poison = self._shared.suspects.known(delivery).is_poison
        verdict = self._superseded(waiting) or (_POISON if is_poison else None)
        if verdict is not None:
            self._end_soon(waiting, self._settle(waiting, verdict, waiting.attempts))
        return verdict is not None

    def _superseded(self, waiting: HeldEdit) -> Rejected | None:
        """The verdict on an edit sent again when a newer one of its job has been applied."""
        if waiting.place is None or not redrives(waiting.delivery):
            return None
        memory, job = self._shared.memory, waiting.edit.job
        newer = memory.newer(waiting.edit.head.account, job, waiting.place)
        return superseded(waiting.delivery, newer[1]) if newer else None

    def _begin(self, oldest: HeldEdit, now: float) -> bool:
        """Have a call made for a job; False if it must wait for others, or others for it."""
        waiting = oldest
        if self.account.coalesce:
            waiting = newest_covering(self.window.line(oldest.edit.job))
        solo = self._shared.solo
        if waiting.alone and not waiting.let_others_first:
            waiting.let_others_first = True
            if self._shared.suspects.known(waiting.delivery).lets_others_first:
                self.window.put_back(waiting, now + OTHERS_FIRST)
                return False
        if not solo.admits(now, alone=waiting.alone):
            self.window.put_back(waiting, now + SOLO_LOOKS_EVERY)  # till then, others are asked
            return False
        self._pacer.take(now)
        self._slots.use()
        solo.begin(alone=waiting.alone)
        self._shared.suspects.begin(waiting.delivery, alone=waiting.alone)
        self.in_flight += 1
        self.idle_since = now
        knew = self.standing.before_call(waiting)
        self._probing = self._probing or knew.probe
        loop = self._shared.loop
        task = ApiCall(waiting, knew, self.standing.clock_offset, loop.future())
        task.oldest = None if waiting is oldest else oldest
        self._callers.begin(task, self.in_flight)
        loop.spawn(self._turn(task))
        return True

    def _look_later(self, now: float, wait: float) -> None:
        due = now + wait if wait > 0 else self.window.next_due()
        if due is None:
            return
        if self._timer is not None:
            if self._timer[0] <= due + EARLY_ENOUGH:
                return
            self._shared.loop.cancel(self._timer[1])
        self._timer = due, self._shared.loop.call_later(max(0.0, due - now), self._look)

    def _look(self) -> None:
        self._timer = None
        self.pump()

    # Replies come back

    async def _turn(self, task: ApiCall) -> None:
        """The turn of an edit: called, judged, and settled or put back for another turn."""
        if task.returned is not None:
            await task.returned
        if task.left_at is not None and task.reply is None:
            await self._outlast(task.left_at)
        waiting, now = task.waiting, self._shared.loop.now()
        first = task.oldest or waiting
        attempts = waiting.attempts + 1
        self.in_flight -= 1
        self._probing = self._probing and not task.knew.probe
        self._shared.solo.end(alone=waiting.alone)
        self._shared.suspects.end(waiting.delivery)
        match self._verdict(task, now):
            case Rejected() as verdict if task.oldest is not None:
                waiting.rejected, waiting.attempts = verdict, attempts
                self.window.put_back(first, now)  # those that it was to cover are called after all
            case Applied() | Rejected() as verdict:
                self.unconfirmed += 1
                self._pump_soon()
                covers = task.oldest is not None
                settle = self._settle_line if covers else self._settle
                await self._end(waiting, settle(waiting, verdict, attempts))
                return
            case Retry(after=after):
                self.tally.retries += 1
                self.window.put_back(first, now + after.total_seconds())
            case Suspend() | None:
                wait = SHORTAGE_LASTS if task.shortage is not None else 0.0
                self.window.put_back(first, now + wait)
        self._moved()

    async def _outlast(self, left_at: float) -> None:
        """Wait until a call that left has had its time, though this process failed to hear of it.

        The API may be at it still: till then nothing of the job may be called.
        """
        timeout = self.account.endpoint.call_timeout.total_seconds()
        await sleep(max(0.0, left_at + timeout - self._shared.loop.now()))

    async def _settle_line(
        self, waiting: HeldEdit, verdict: Applied | Rejected, attempts: int
    ) -> None:
        """Settle an edit, and before it those of its job that it covers: oldest first, one by one.

        So whatever comes back after a crash is still the job's latest edits.
        """
        by = Superseded(waiting.edit.head.message_id)
        for older in list(takewhile(lambda held: held is not waiting, self._line(waiting))):
            ending, calls = (older.rejected, older.attempts) if older.rejected else (by, 0)
            await self._settle(older, ending, calls)
            self.window.pass_over(older)
        await self._settle(waiting, verdict, attempts)

    def _line(self, waiting: HeldEdit) -> Iterable[HeldEdit]:
        """The edits of its job, oldest first, while it is held still."""
        line = self.window.line(waiting.edit.job)
        return line if waiting in line else ()

    def _verdict(self, task: ApiCall, now: float) -> Verdict | None:
        """What the reply means; None if no call was made, for want of a lease or a descriptor.

        What raises here is a bug of ours, and the end of this edit alone.
        """
        if task.bug is not None:
            log.error("call_failed", account=self.account.name, exc_info=task.bug)
            self.tally.count_call("crashed")
            return _internal("calling")
        if task.reply is None:
            return None
        try:
            self.tally.count_call(task.reply.status or "none")
            self.tally.call_seconds.add(task.seconds)
            return self.standing.hear(task, task.reply, now)
        except Exception:
            log.exception("judging_failed", account=self.account.name)
            return _internal("judging")

    def _settle(
        self, waiting: HeldEdit, verdict: Ending, attempts: int
    ) -> Coroutine[None, None, None]:
        return self._outcomes.settle(
            waiting.delivery,
            waiting.source,
            waiting.edit.head,
            verdict,
            attempts=attempts,
            trace=waiting.trace,
            place=waiting.place,
        )

    def _end_soon(self, waiting: HeldEdit, settling: Coroutine[None, None, None]) -> None:
        self.unconfirmed += 1
        self._shared.loop.spawn(self._end(waiting, settling))

    async def _end(self, waiting: HeldEdit, settling: Coroutine[None, None, None]) -> None:
        """Once an edit is settled and its ack written, the next of its job may go."""
        try:
            await settling
        except Exception:
            log.exception("settling_failed", account=self.account.name)
            if waiting.source.alive:
                self._unsettled.append(waiting)
                return  # held still, it goes back with the rest
        finally:
            self.unconfirmed -= 1
        self.window.remove(waiting)
        if waiting.alone and waiting.source.alive:
            self._shared.suspects.end(waiting.delivery)  # poison, and only now is it buried
        self._moved()

    def _moved(self) -> None:
        self._pump_soon()
        if self.returning and self.is_quiet:
            self._shared.loop.call_later(ACK_SETTLES_IN, self._give_back)

    # The window goes back

    @property
    def threads_refused(self) -> bool:
        """Whether the system would not give the thread that was asked for last."""
        return self._callers.refused

    @property
    def shortage(self) -> str | None:
        """What this machine lacked for the last call; None if that was made."""
        return self._callers.shortage

    @property
    def is_quiet(self) -> bool:
        """Nothing is in flight and nothing unconfirmed."""
        return self.in_flight == 0 and self.unconfirmed == 0 and self.refusing == 0

    @property
    def is_empty(self) -> bool:
        """Nothing that was delivered is held: all is settled."""
        return self.is_quiet and not self.window and not self._refusals

    def used_up(self, now: float) -> tuple[Rate, float] | None:
        """The limit that allows no call now, and until when; None if there is none such.

        Callable from any thread.
        """
        return self._pacer.used_up(now)

    def adopt(self, account: Account, caller: Caller, taken: Iterable[float] = ()) -> None:
        """Go on with other settings or credentials; calls under way end with the old ones.

        `taken`: when calls were made before, as known from the journal.
        """
        now = self._shared.loop.now()
        if account.rates != self.account.rates:
            self._pacer = self._pacer.replaced(account.rates, now=now, taken=taken)
            self._callers.departures = send_limiter(account.rates)
        self.account = account
        self.standing.adopt(account, now)
        self._callers.caller = caller
        self._compare_owners()
        self.pump()

    def _compare_owners(self) -> None:
        """Look at what is held by who owns each app now."""
        for waiting in self.window:
            owner = self._another_owner(waiting.edit.head, waiting.delivery)
            if waiting.to is None and owner is not None:
                self._leaving.append(waiting)
            elif waiting.to is not None and owner is None:
                self._take_anew()
            waiting.to = owner

    def stop(self) -> None:
        """End the threads that made the calls."""
        self._callers.stop()

    def drain(self) -> None:
        """Start no more calls; what is in flight is settled still."""
        self.draining = True

    def tick(self) -> None:
        """Look at the clock, about once a second."""
        now = self._shared.loop.now()
        self._callers.tend()
        if self.is_empty and self.standing.health.state is State.RUNNING:
            self.idle_since = now
            return  # a thousand lanes look each second, and most have nothing to look at
        self.pump()
        if self._could_send(now):
            log.debug("lane_could_send", account=self.account.name)
        else:
            self.idle_since = now
        oldest = self.window.oldest()
        limit = self._hold - min(self._hold / 4, self.account.endpoint.call_timeout.total_seconds())
        if oldest is not None and now - oldest >= limit and not self.returning:
            self.returning = True
            self._moved()

    def _could_send(self, now: float) -> bool:
        state = self.standing.look(now)
        return (
            self._may_start(state)
            and self._shared.may_start()
            and self.window.can_take(now, to_probe=state is State.SUSPENDED)
            and max(self._pacer.wait(now), self.standing.closed_for(now)) <= 0
            and self._reserving is None
        )

    def _give_back(self) -> None:
        """Return the whole window, in order, and take it again: nothing may be held too long."""
        if self.returning and self._source is not None:
            self.tally.give_backs += 1
            log.info("window_given_back", account=self.account.name, edits=len(self.window))
            self._source.give_back()


def _returned(task: ApiCall) -> None:
    if task.returned is not None and not task.returned.done():
        task.returned.set_result(None)


def _key(waiting: HeldEdit) -> object:
    return waiting.edit.head.identity or waiting.delivery.body


def _internal(doing: str) -> Rejected:
    return Rejected(Reason.INTERNAL, f"a bug of the worker while {doing}; its log has the trace")
