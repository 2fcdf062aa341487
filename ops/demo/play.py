"""What goes wrong in the demo, when, and how the worker takes it."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ops.demo.messages import CUT_OFF, HOPELESS, MAX_ROBOTS, SYSTEM_ERROR, TAKEN, UNAVAILABLE
from ops.demo.promises import Pause
from ops.demo.worker import ACME, CLIENTS, GLOBEX
from ops.sandbox.worker import TroubleError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ops.demo.post import Post
    from ops.demo.telling import Telling
    from ops.sandbox.worker import Worker
    from ops.simulator.control import Simulator

PATIENCE = 60.0
"""Seconds for all of it."""
RETRY_AFTER, WITHOUT_BALANCE, OUTAGE = 2, 2.5, 2.0
TURN = 0.1
SEEN_IN = 0.5
"""Seconds in which the worker has noticed."""


@dataclass(slots=True)
class Scene:
    """Something that happens at the provider, once enough edits are settled."""

    account: str
    after: int
    """Events of that account."""
    says: str
    act: Callable[[Simulator], object]


@dataclass(slots=True)
class Play:
    """The course of the demo."""

    simulator: Simulator
    worker: Worker
    post: Post
    telling: Telling
    pauses: list[Pause] = field(default_factory=list)
    _states: dict[str, tuple[str, float]] = field(default_factory=dict)

    def run(self, count: int) -> None:
        """Return when that many events have come; TroubleError when they do not."""
        scenes = _scenes()
        deadline = time.monotonic() + PATIENCE
        while len(self.post.events) < count:
            if time.monotonic() > deadline:
                missing = count - len(self.post.events)
                raise TroubleError(f"{missing} events have not come after {PATIENCE:.0f} s")
            self.post.turn(TURN)
            lanes = self.worker.lanes()
            self._watch(lanes)
            settled = Counter(event.data.account for event in self.post.events)
            calm = all(lane["state"] == "running" for lane in lanes.values())
            if scenes and calm and settled[scenes[0].account] >= scenes[0].after:
                scene = scenes.pop(0)
                self.telling.say(scene.says)
                scene.act(self.simulator)
                self.post.turn(SEEN_IN)
            self.telling.show(len(self.post.events), count, lanes)
        self._watch(self.worker.lanes())
        if scenes:
            raise TroubleError(f"it was over before this could happen: {scenes[0].says}")

    def _watch(self, lanes: dict[str, Any]) -> None:
        """Tell of each lane that has changed its state."""
        for account, lane in lanes.items():
            state, since = self._states.get(account, ("running", 0.0))
            if lane["state"] in (state, "standby"):  # nothing was delivered yet
                continue
            now = time.time()
            self._states[account] = (lane["state"], now)
            if state != "running":
                self.pauses.append(Pause(account, since, now))
            self.telling.changed(account, lane)


def prepare(simulator: Simulator) -> None:
    """Open both accounts at the provider, and say which jobs it has trouble with."""
    for client in CLIENTS:
        rate = f"{client.allowed}/s"
        simulator.account(client.key, client.secret, client.app_ids, rate, max_robots=MAX_ROBOTS)
    simulator.latency("50ms", jitter="20ms")
    simulator.fault("http", code=503, job=UNAVAILABLE, times=2)
    simulator.fault("http", code=500, job=HOPELESS)
    simulator.fault("drop_after_reading", job=CUT_OFF, times=1)
    simulator.answer("-5", job=SYSTEM_ERROR, times=1)
    for job in TAKEN:
        simulator.answer("-33", job=job)


def _scenes() -> list[Scene]:
    return [
        Scene(
            "acme",
            30,
            f"The provider tells acme to slow down (HTTP 429, Retry-After: {RETRY_AFTER}).",
            lambda simulator: simulator.fault(
                "http", code=429, retry_after=str(RETRY_AFTER), account=ACME.key, times=1
            ),
        ),
        Scene(
            "acme",
            60,
            f"Globex has no balance left at the provider, for {WITHOUT_BALANCE} s.",
            lambda simulator: simulator.state(
                "balance_gone", account=GLOBEX.key, seconds=WITHOUT_BALANCE
            ),
        ),
        Scene(
            "globex",
            60,
            f"The API is down, for {OUTAGE} s: nobody listens there.",
            lambda simulator: simulator.post("refuse", {"seconds": OUTAGE}),
        ),
    ]
