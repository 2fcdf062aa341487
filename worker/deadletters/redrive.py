"""Dead letters sent again, each settled once: published, confirmed, and then taken out.

Whatever kills the command, a letter is still in the queue or already in its lane; it may be in
both, and then the copy in the queue is sent again as a repeat of the other.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from worker.amqp.session import task_group
from worker.core.message import ConfirmResult
from worker.core.rate_limit import Pacer
from worker.deadletters.canary import Canary
from worker.deadletters.letter import to_publication
from worker.deadletters.plan import first_within

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.amqp.session import Channel, DeliveryStream, Session
    from worker.core.rate_limit import Rate
    from worker.deadletters.canary import Step
    from worker.deadletters.letter import Resubmission
    from worker.deadletters.plan import RedriveAction
    from worker.deadletters.queue import DeadLetterQueue, HeldLetter

UNCONFIRMED_AT_MOST = 100
LOOK_EVERY = 0.1
"""Seconds between looks whether somebody wants it to stop."""
CONFIRMS_WITHIN = 5.0
"""Seconds that the last confirms are given when it is to stop."""


@dataclass(frozen=True, slots=True)
class RedriveOptions:
    """How fast to go, and what to wait for."""

    rates: tuple[Rate, ...] = ()
    """None at all: as fast as RabbitMQ takes them."""
    canary: Step | None = None
    """Wait for the outcomes of so many first, then of twice as many, and so on."""
    patience: float = 60.0
    """Seconds to wait for the next outcome."""
    hold: float = 900.0
    """Seconds that letters are kept at most before they are given back and taken anew."""
    held_bytes: int = 64 * 1024 * 1024
    """Bodies kept in memory at once, about."""


@dataclass(slots=True)
class RedriveProgress:
    """What has become of the letters of a redrive so far."""

    sent: int = 0
    """Confirmed by a queue, and taken out."""
    copies: int = 0
    """Taken out and not sent, for they had been, and were settled."""
    applied: int = 0
    """Of those sent, as far as their outcome was waited for; `rejected` likewise."""
    rejected: int = 0
    unroutable: int = 0
    """No queue would have them; they stay where they are, as do the `refused`."""
    refused: int = 0
    gone: int = 0
    """Not in the queue any more: somebody else has taken them out."""
    unsure: int = 0
    """Sent without a confirm before the end: still in the queue, and maybe in their lane too."""
    stopped: str = ""
    """Why it stopped early; the rest of a sentence."""
    step: int = 0
    """How many letters the canary's step under way has; 0 without a canary."""

    @property
    def done(self) -> int:
        """How many letters are not in the queue any more."""
        return self.sent + self.copies + self.gone

    @property
    def moved(self) -> int:
        """How many of its letters it has tried."""
        return self.done + self.unroutable + self.refused

    def counts(self) -> dict[str, int | str]:
        """What became of its letters as its record says it: nothing of what has none."""
        return {name: count for name, count in asdict(self).items() if count and name != "step"}

    @property
    def is_good(self) -> bool:
        """Whether all went as it was wished."""
        return not (self.rejected or self.unroutable or self.refused or self.unsure or self.stopped)


async def redrive(
    session: Session,
    queue: DeadLetterQueue,
    actions: Sequence[RedriveAction],
    options: RedriveOptions,
    progress: RedriveProgress,
) -> None:
    """Carry out the actions of a plan in order; `progress` says how far it has come.

    It ends early when the session is to stop, or when too many of a canary's letters are not
    applied. What was not sent is given back by `locked`. Raises `SessionError`.
    """
    await _Redrive(session, queue, actions, options, progress).carry_out()


class _Redrive:
    def __init__(
        self,
        session: Session,
        queue: DeadLetterQueue,
        actions: Sequence[RedriveAction],
        options: RedriveOptions,
        progress: RedriveProgress,
    ) -> None:
        self._session = session
        self._queue = queue
        self._actions = actions
        self._options = options
        self._progress = progress
        self._loop = asyncio.get_running_loop()
        now = self._loop.time()
        self._pacer = Pacer(options.rates, now=now, taken=()) if options.rates else None
        self._canary = Canary(options.canary.of(len(actions))) if options.canary else None
        if self._canary is not None:
            progress.step = self._canary.step.size
        self._held: dict[bytes, list[HeldLetter]] = {}
        """The letters to be sent next; copies have one key. The rest of the queue is held too."""
        self._held_end = 0
        """The number of the first action whose letters are not among them."""
        self._held_until = 0.0
        self._room = asyncio.Semaphore(UNCONFIRMED_AT_MOST)
        self._sending: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()
        """An outcome has come."""

    async def carry_out(self) -> None:
        canary, names = self._canary, self._session.names
        outcomes = None if canary is None else await self._session.events(names.events)
        channel = await self._session.publisher()
        async with task_group() as group:
            hearing = None
            if canary is not None and outcomes is not None:
                hearing = group.create_task(self._hear(canary, outcomes))
            for number, action in enumerate(self._actions):
                await self._turn(action, left=len(self._actions) - number)
                if self._is_stopped():
                    break
                letters = await self._letters(number)
                if not letters:
                    self._progress.gone += 1
                elif action.redrives is None:
                    for letter in letters:
                        letter.ack()
                    self._progress.copies += 1
                else:
                    message = self._begun(letters[0], action, action.redrives)
                    await self._room.acquire()
                    task = group.create_task(self._send(channel, message, letters))
                    self._sending.add(task)
                    task.add_done_callback(self._sending.discard)
            await self._confirmed()
            if canary is not None and not self._is_stopped():
                await self._outcomes(canary, left=0)
            if hearing is not None:
                hearing.cancel()

    def _begun(self, letter: HeldLetter, action: RedriveAction, redrives: int) -> Resubmission:
        message = to_publication(
            letter.letter,
            letter.delivery,
            self._session.names,
            redrives=redrives,
            body=action.body,
            place=action.place,
        )
        if self._canary is not None:
            self._canary.begin(message.identity, self._loop.time())
        return message

    async def _send(
        self, channel: Channel, message: Resubmission, letters: Sequence[HeldLetter]
    ) -> None:
        """One letter's way: published, confirmed, and only then taken out, with its copies."""
        self._progress.unsure += 1
        result = await channel.publish(message.publication)
        self._progress.unsure -= 1
        if result is ConfirmResult.CONFIRMED:
            for letter in letters:
                letter.ack()
            self._progress.sent += 1
        elif result is ConfirmResult.UNROUTABLE:
            self._progress.unroutable += 1
        else:
            self._progress.refused += 1
        confirmed = result is ConfirmResult.CONFIRMED
        if self._canary is not None and not (confirmed and message.identity is not None):
            self._canary.fail(message.identity)
        self._room.release()

    # When a letter may be sent

    async def _turn(self, action: RedriveAction, *, left: int) -> None:
        """Wait until one more may be sent, or it is to stop."""
        if self._canary is not None and not self._canary.has_room:
            await self._outcomes(self._canary, left=left)
        while self._session.blocked is not None and not self._is_stopped():
            await self._session.pause(LOOK_EVERY)
        if self._pacer is None or action.redrives is None:
            return
        while (wait := self._pacer.wait(self._loop.time())) > 0 and not self._is_stopped():
            await self._session.pause(wait)
        self._pacer.take(self._loop.time())

    def _is_stopped(self) -> bool:
        if self._session.stopping.is_set():
            self._progress.stopped = self._progress.stopped or "stopped"
        return bool(self._progress.stopped)

    # Letters held

    async def _letters(self, number: int) -> list[HeldLetter]:
        """The letters of an action; none if they are not in the queue any more."""
        if number >= self._held_end or self._loop.time() >= self._held_until:
            await self._give_back()
            await self._take(number)
        letters = self._held.pop(self._actions[number].key, [])
        for letter in letters:
            letter.batch.channel.check()
        return letters

    async def _take(self, first: int) -> None:
        """Take the queue, and keep as many of the next letters as memory should hold."""
        self._held_until = self._loop.time() + self._options.hold
        end = first + first_within(self._actions[first:], self._options.held_bytes)
        keys = frozenset(action.key for action in self._actions[first:end])
        held = defaultdict(list)
        async for letter in self._queue.letters(to_settle=True):
            if letter.letter.key in keys:
                held[letter.letter.key].append(letter)
        self._held, self._held_end = held, end

    async def _give_back(self) -> None:
        await self._confirmed()
        self._held, self._held_end = {}, 0
        await self._queue.give_back()

    async def _confirmed(self) -> None:
        """Wait for the confirms of what was sent; not for long when it is to stop."""
        by: float | None = None
        while self._sending:
            await asyncio.wait(self._sending, timeout=LOOK_EVERY)
            if self._session.stopping.is_set():
                by = by or self._loop.time() + CONFIRMS_WITHIN
                if self._loop.time() > by:
                    for task in self._sending:
                        task.cancel()
                    return

    # Outcomes

    async def _hear(self, canary: Canary, outcomes: DeliveryStream) -> None:
        async for event in outcomes:
            applied = canary.hear(event.body, self._loop.time())
            if applied is not None:
                self._progress.applied += applied
                self._progress.rejected += not applied
                self._news.set()

    async def _outcomes(self, canary: Canary, *, left: int) -> None:
        """Wait for the outcomes of a step; then begin the next, of at most `left` letters."""
        await self._confirmed()
        if left == 0:  # nothing need be held for what is still to come
            await self._give_back()
        while canary.awaited and not self._is_stopped():
            self._news.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), LOOK_EVERY)
            now = self._loop.time()
            if canary.is_overdue(now, self._options.patience):
                missing = len(canary.awaited)
                self._progress.stopped = (
                    f"{missing} outcomes did not come: are the worker and its lane running?"
                )
            elif self._held_end and now >= self._held_until:
                await self._give_back()
        if self._is_stopped():
            return
        if canary.step.is_bad:
            self._progress.stopped = f"{canary.step.failed} of {canary.step.size} were not applied"
        elif left:
            canary.go_on(left)
            self._progress.step = canary.step.size
