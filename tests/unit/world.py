"""A lane and its world: a queue, a broker that confirms, an API, and time."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from tests.unit.builders import NAMES, SIGNED, account, properties
from tests.unit.fake_publisher import FakePublisher, FakeReplies
from tests.unit.fake_queue import FakeQueue, Message
from tests.unit.fakes import (
    FakeApi,
    FakeCall,
    FakeCallers,
    FakeLoop,
    FakeSuspects,
)
from tests.unit.schemas.builders import body, edit
from worker.core.rate_limit import SLOTS_TYPE, reservation
from worker.core.reply import Answered
from worker.pipeline.context import LaneContext
from worker.pipeline.lane import Lane
from worker.pipeline.replay import JournalReplay
from worker.pipeline.settler import Settler

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.account import Account
    from worker.core.message import ConfirmResult, Publication
    from worker.core.reply import Reply, Shortage

GOOD = Answered("0", "success")


class World:
    """Everything a lane touches, at hand for a test; the API answers well at once by default."""

    def __init__(
        self,
        serving: Account | None = None,
        script: Callable[[FakeCall], Reply | Shortage] | None = lambda _: GOOD,
        *,
        prefetch: int = 200,
        hold: float = 1200.0,
        late: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.loop = FakeLoop(late)
        self.api = FakeApi(self.loop, script)
        self.publisher = FakePublisher(self.loop)
        self.replies = FakeReplies()
        self.suspects = FakeSuspects()
        self.lease = True
        self.lease_holds: Callable[[], bool] = lambda: self.lease
        self.account = serving or account(rate="1000/s")
        self.hold = hold
        self.shared = self._shared()
        self.lane = self._lane()
        self.queue = FakeQueue(self.loop, self.lane, prefetch=prefetch, recall=self.recall)
        self.queue.subscribe()
        self._tick()

    def _shared(self) -> LaneContext:
        settler = Settler(self.publisher, self.replies, NAMES.journal)
        return LaneContext(
            self.loop,
            settler,
            self.suspects,
            SIGNED,
            self._lease_holds,
            lambda: self.publisher.is_open,
            reserve=self._reserve,
        )

    async def _reserve(self, account: str, calls: int, wanted: Callable[[], bool]) -> ConfirmResult:
        block = reservation(NAMES.journal, account, calls, int(self.loop.now()), "b")
        return await self.publisher.publish(block, wanted)

    def _lease_holds(self) -> bool:
        return self.lease_holds()

    def _lane(self) -> Lane:
        return Lane(self.account, self.api, self.shared, hold=self.hold, callers=FakeCallers)

    def _tick(self) -> None:
        self.lane.tick()
        self.loop.call_later(1.0, self._tick)

    def another_lane(
        self,
        serving: Account,
        script: Callable[[FakeCall], Reply | Shortage] | None = lambda _: GOOD,
    ) -> tuple[Lane, FakeQueue]:
        """One more account of the same process."""
        api = FakeApi(self.loop, script, self.api.latency)
        lane = Lane(serving, api, self.shared, hold=self.hold, callers=FakeCallers)
        queue = FakeQueue(self.loop, lane)
        queue.subscribe()
        return lane, queue

    def publish(self, job: int = 1, *, message_id: str | None = None, **changes: Any) -> Message:  # noqa: ANN401 (fields of an edit)
        """An edit of a job; its message id is m- and its number unless one is given."""
        number = len(self.queue.published) + 1
        own = properties(message_id=message_id or f"m-{number}")
        return self.queue.publish(body(edit(jobId=job, robotCount=number) | changes), own)

    def run(self, seconds: float = 0.0) -> None:
        self.loop.run(seconds)

    def finish(self, within: float = 10_000.0) -> None:
        """Let everything end that is in the queue."""
        self.loop.run(within, until=lambda: self.queue.is_empty)
        assert self.queue.is_empty, "there are edits that never end"

    def recall(self) -> bool:
        """What the broker has of events is known again, once a marker could be published."""
        if not self.publisher.is_open:
            return False
        self.publisher.arrive()
        recalled = JournalReplay(self.shared.memory, self.loop.now)
        for event in self.events():  # stamped by the wall clock, so they tell no age here
            recalled.hear(event)
        if self.blocks():
            recalled.watch([self.account])
            for block in self.blocks():
                age = self.loop.now() - (block.properties.timestamp or 0)
                recalled.hear(block, age)
            self.queue.taken = recalled.taken(self.account.name)
        return True

    def events(self) -> list[Publication]:
        settled = (each for each in self.publisher.received if each.exchange != NAMES.dead)
        return [each for each in settled if each.properties.type != SLOTS_TYPE]

    def blocks(self) -> list[Publication]:
        """The slots of long limits that were reserved."""
        return [each for each in self.publisher.received if each.properties.type == SLOTS_TYPE]

    def letters(self) -> list[Publication]:
        return [each for each in self.publisher.received if each.exchange == NAMES.dead]

    def killed(self) -> None:
        """The process dies, and another one takes its place."""
        self.lane.drain()  # what is begun ends in the middle, and nothing else begins
        self.queue.abandoned()
        self.publisher.outstanding.clear()
        self.publisher.backlog.clear()
        self.api.under_way.clear()
        self.loop.forget()
        self.publisher.is_open = True
        self.shared = self._shared()
        self.lane = self.queue.handler = self._lane()
        self.queue.subscribe()
        self._tick()

    def lose_channel(self, *, acks_too: bool = False) -> None:
        """The connection that consumes is gone."""
        self.queue.lose(acks_too=acks_too)
        self.publisher.drop_unwanted()


def calls_of(world: World, job: int) -> list[str | None]:
    """The message ids that were called for a job, in order."""
    return [call.message_id for call in world.api.calls if call.job == job]


def by_status(status: str) -> Callable[[FakeCall], Reply]:
    """An API that has one answer for all."""
    return partial(_always, Answered(status))


def _always(reply: Reply, _: FakeCall) -> Reply:
    return reply
