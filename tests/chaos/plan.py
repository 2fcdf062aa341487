"""What is to go wrong, when, and for how long: drawn from a seed before anything starts."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from tests.chaos.faults import api, broker, machine, messages, network, operators, process, settings
from tests.chaos.proxy import Weather

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from ops.simulator.faults.fault import Kind
    from tests.chaos.evidence import Link
    from tests.chaos.faults.fault import Fault

    Draw = Callable[[Random], tuple[Fault, float]]

_QUIET = (0.5, 3.0)
"""Seconds without a new fault, between two of one track."""
_TAKEN_OVER_IN = 1.7
"""Seconds from a cut until a lane is served again, and some calls are made."""


@dataclass(frozen=True, slots=True)
class Step:
    """A fault, how long after the one before it is mended, and how long it lasts, in seconds."""

    after: float
    fault: Fault
    lasts: float

    def __str__(self) -> str:
        return f"{self.fault} for {self.lasts:.1f} s"


@dataclass(frozen=True, slots=True)
class Plan:
    """Tracks of faults, side by side: around the worker, of the API, of people, of accounts."""

    around: tuple[Step, ...]
    api: tuple[Step, ...]
    hands: tuple[Step, ...] = ()
    accounts: tuple[Step, ...] = ()


def plan(
    seed: int,
    seconds: float,
    *,
    replicas: int,
    heartbeat: float,
    rate: int,
    load: float,
    disasters: bool,
    only: Collection[str] = (),
) -> Plan:
    """The plan of a run that long. `disasters`: whether RabbitMQ itself is struck as well.

    `rate`, `load`: calls and messages a second. `only`: the names of the kinds of faults to draw
    from; all, when there are none.
    """
    around = _of_processes(replicas, heartbeat) + _of_networks(replicas, heartbeat)
    if disasters:
        around += _OF_RABBITMQ
    return Plan(
        _track(Random(f"around {seed}"), _kept(around, only), seconds),
        _track(Random(f"api {seed}"), _kept(_OF_THE_API, only), seconds),
        _track(Random(f"hands {seed}"), _kept(_of_hands(replicas), only), seconds),
        _track(Random(f"accounts {seed}"), _kept(_of_accounts(rate, load), only), seconds),
    )


def _kept(draws: Sequence[Draw], only: Collection[str]) -> list[Draw]:
    """Those that draw a fault of these names."""
    return [draw for draw in draws if not only or type(draw(Random(0))[0]).__name__ in only]


def cuts(seconds: float, *, replicas: int) -> Plan:
    """Memory alarms, and every connection to RabbitMQ cut again and again meanwhile.

    In an alarm acks pass and publications do not, so that a worker that acks before it has the
    confirm loses edits by this, whatever the seed. Between two cuts there is time to take the
    lane over, which waits for the lease, and to make calls.
    """
    cut = network.Reset("broker", tuple(range(replicas)))
    return Plan(
        (Step(1.0, broker.Alarm(), 1.0),) * max(1, round(seconds / 2)),
        (Step(_TAKEN_OVER_IN, cut, 0.1),) * round(seconds / _TAKEN_OVER_IN),
    )


def _track(chance: Random, draws: Sequence[Draw], seconds: float) -> tuple[Step, ...]:
    """Every kind once in each round, in an order of its own."""
    steps: list[Step] = []
    if not draws:
        return ()
    left: list[Draw] = []
    at = 0.0
    while True:
        if not left:
            left = chance.sample(draws, len(draws))
        fault, lasts = left.pop()(chance)
        after = chance.uniform(*_QUIET)
        at += after + lasts
        if at > seconds:
            return tuple(steps)
        steps.append(Step(after, fault, lasts))


def _of_processes(replicas: int, heartbeat: float) -> list[Draw]:
    def one(chance: Random) -> int:
        return chance.randrange(replicas)

    return [
        lambda chance: (process.Kill(one(chance)), chance.uniform(0.1, 3)),
        lambda chance: (process.Freeze(one(chance)), heartbeat * chance.uniform(2.5, 4)),
        lambda chance: (process.Freeze(one(chance)), heartbeat * chance.uniform(0.1, 1.5)),
        lambda chance: (process.Upgrade(one(chance)), 0.0),
        lambda chance: (process.AlarmedTakeover(one(chance)), chance.uniform(2, 12)),
        lambda chance: (process.Suspend(0), heartbeat * chance.uniform(2.5, 6)),
    ]


def _of_networks(replicas: int, heartbeat: float) -> list[Draw]:
    def some(chance: Random) -> tuple[int, ...]:
        return tuple(sorted(chance.sample(range(replicas), chance.randint(1, replicas))))

    def which(chance: Random, link: Link) -> bytes:
        """Both connections to RabbitMQ alike, or one alone."""
        return (
            chance.choice((b"", b"worker consume", b"worker publish")) if link == "broker" else b""
        )

    def around(link: Link) -> list[Draw]:
        assert link != "process"
        slow = Weather(delay=0.2)
        return [
            lambda chance: (network.Reset(link, some(chance), which(chance, link)), 0.1),
            lambda chance: (
                network.HalfOpen(
                    link, some(chance), chance.choice(("client", "server")), which(chance, link)
                ),
                heartbeat * chance.uniform(1, 3),
            ),
            lambda chance: (
                network.Turn(
                    link,
                    some(chance),
                    Weather(still=True, only=which(chance, link)),
                    lossy=chance.random() < 0.5,
                ),
                heartbeat * chance.uniform(0.2, 4),
            ),
            lambda chance: (
                network.Turn(
                    link,
                    some(chance),
                    Weather(deaf=chance.choice(("client", "server")), only=which(chance, link)),
                ),
                heartbeat * chance.uniform(0.2, 3),
            ),
            lambda chance: (network.Turn(link, some(chance), slow), chance.uniform(1, 4)),
            lambda chance: (network.Refuse(link, some(chance)), chance.uniform(0.5, 4)),
        ]

    return around("broker") + around("api")


_OF_RABBITMQ: list[Draw] = [
    lambda chance: (broker.KillBroker(), chance.uniform(0, 2)),
    lambda chance: (broker.StopBroker(), chance.uniform(0, 2)),
    lambda chance: (broker.FreezeBroker(), chance.uniform(1, 8)),
    lambda chance: (broker.Alarm(), chance.uniform(1, 5)),
    lambda _: (broker.CloseConnections(), 0.1),
    lambda _: (broker.DeleteLane(), 0.1),
]


def _of_hands(replicas: int) -> list[Draw]:
    def one(chance: Random) -> int:
        return chance.randrange(replicas)

    return [
        lambda _: (operators.ReturnLetters(), 0.1),
        lambda chance: (operators.PauseAccount(), chance.uniform(1, 6)),
        lambda _: (operators.DeleteFleet(), 0.1),
        lambda chance: (messages.Hostile(chance.randrange(2**32)), 0.1),
        lambda chance: (messages.Flood(chance.randint(100, 300)), 0.1),
        lambda chance: (machine.Descriptors(one(chance)), chance.uniform(2, 8)),
        lambda chance: (machine.FullDisk(one(chance)), chance.uniform(2, 8)),
        lambda chance: (machine.Threads(one(chance)), chance.uniform(2, 8)),
        lambda _: (operators.DeleteJournal(), 0.1),
        lambda _: (operators.DeleteEvents(), 0.1),
    ]


def _of_accounts(rate: int, load: float) -> list[Draw]:
    def rates(chance: Random) -> str:
        """Never wider than those that a run begins with; the long one is what the load needs."""
        second = rate - chance.choice((0, rate // 3, rate // 2))
        minute = chance.choice(("", f",{round(80 * load)}/m", f",{round(90 * load)}/m"))
        return f"{second}/s{minute}"

    return [
        lambda chance: (settings.ChangeLimits(rates(chance)), chance.uniform(2, 20)),
        lambda chance: (settings.MoveApp(), chance.uniform(1, 10)),
        lambda chance: (settings.ChangeLimits(rates(chance)), chance.uniform(2, 20)),
        lambda chance: (settings.RenameAccount(chance.random() < 1 / 2), chance.uniform(0, 3)),
    ]


def _bad(kind: Kind, most: float = 5.0, **parts: object) -> Draw:
    return lambda chance: (
        api.Misbehave(kind=kind, share=chance.choice((0.2, 0.5, 1.0)), parts=parts),
        chance.uniform(0.5, most),
    )


_OF_THE_API: list[Draw] = [
    _bad("http", code=500),
    _bad("http", code=502, form="html"),
    _bad("http", code=503, retry_after="1"),
    _bad("html"),
    _bad("stall"),
    _bad("drop_after_reading"),
    _bad("drop_before_reply", reset=True),
    _bad("drop_mid_reply"),
    _bad("drip_headers", every=0.3),
    _bad("drip_body", every=0.3),
    _bad("gzip_bomb", most=1.0, size=4),
    _bad("close_silently"),
    lambda chance: (api.Slow(seconds=chance.uniform(0.5, 3)), chance.uniform(1, 5)),
    lambda chance: (
        api.Enter(state=chance.choice(("balance_gone", "ip_refused", "unverified", "down"))),
        chance.uniform(1, 5),
    ),
    lambda chance: (
        api.Throttle(rate="20/s", retry_after=chance.choice(("1", "date+2", "soon", "-1"))),
        chance.uniform(1, 5),
    ),
    lambda chance: (api.Shut(seconds=(seconds := chance.uniform(0.5, 4))), seconds),
]
