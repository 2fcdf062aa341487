"""Probes, lanes and readings that are good unless a test says otherwise."""
# ruff: noqa: ANN401  (`changes` are the fields of a dataclass, of any type; replace checks them)

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from tests.unit.builders import SIGNED, account, waiting
from tests.unit.fakes import FakeLoop
from worker.observability.status import Probes, Reading
from worker.pipeline.context import LaneContext
from worker.pipeline.lane import Lane

if TYPE_CHECKING:
    from worker.pipeline.callers import Caller
    from worker.pipeline.poison import CrashLedger
    from worker.pipeline.settler import Settler


def probes(**changes: Any) -> Probes:
    good = Probes(live=lambda: None, ready=lambda: None, notes=tuple, lanes=dict, metrics=bytes)
    return replace(good, **changes)


def lane(name: str = "acme", rate: str = "20/s,600/m", *, held: int = 0, **changes: Any) -> Lane:
    """A lane that serves nobody; it holds edits of different jobs, the first of them taken."""
    nobody = None
    shared = LaneContext(
        FakeLoop(),
        cast("Settler", nobody),
        cast("CrashLedger", nobody),
        SIGNED,
        lease_holds=lambda: True,
        publisher_open=lambda: True,
    )
    good = Lane(account(name, rate, **changes), cast("Caller", nobody), shared)
    for number in range(held):
        good.window.add(waiting(job=number + 1, number=number + 1))
    good.window.take(0.0)
    return good


def reading(**changes: Any) -> Reading:
    good = Reading(
        version="1.2.3",
        ready=True,
        settings_refused=False,
        connected={"consume": True, "publish": True},
        reconnects={"consume": 0, "publish": 0},
        blocked=False,
        confirms_outstanding=0,
        events_refused=0,
        letters_refused=0,
        subscribed={"acme": True},
    )
    return replace(good, **changes)
