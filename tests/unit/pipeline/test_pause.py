"""A paused lane: nothing leaves any more, not even what had its turn already."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from schemas import ControlEntry
from tests.unit.fakes import FakeCallers
from tests.unit.world import World
from worker.pipeline.lane import Lane

if TYPE_CHECKING:
    from worker.pipeline.callers import ApiCall

PAUSE = ControlEntry(
    id="1",
    action="pause",
    account="acme",
    actor="somebody",
    via="cli",
    at=datetime(2026, 11, 27, tzinfo=UTC),
)


class WaitingCallers(FakeCallers):
    """Calls that have been begun and wait for their slot, until `leave`."""

    def begin(self, task: ApiCall, in_flight: int) -> None:
        self.waiting = [*getattr(self, "waiting", []), (task, in_flight)]

    def leave(self) -> None:
        """The slots have come."""
        for task, in_flight in self.waiting:
            super().begin(task, in_flight)
        self.waiting = []


class WaitingWorld(World):
    def _lane(self) -> Lane:
        def made(*arguments: object) -> WaitingCallers:
            self.callers = WaitingCallers(*arguments)  # type: ignore[arg-type]
            return self.callers

        return Lane(self.account, self.api, self.shared, hold=self.hold, callers=made)  # type: ignore[arg-type]


def test_a_call_that_waits_for_its_slot_when_the_lane_is_paused_is_not_made() -> None:
    world = WaitingWorld()
    world.publish(1)
    world.publish(2)
    world.run(1.0)
    assert len(world.callers.waiting) == 2

    world.lane.pause(PAUSE)
    world.callers.leave()
    world.run(5.0)

    assert world.api.calls == []
    assert world.lane.is_quiet
    assert world.lane.state == "paused"


def test_a_lane_that_is_resumed_calls_again() -> None:
    world = World()
    world.lane.pause(PAUSE)
    world.publish(1)
    world.run(5.0)
    assert world.api.calls == []

    world.lane.pause(None)
    world.finish()

    assert len(world.api.calls) == 1
