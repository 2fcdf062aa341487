"""What happens between replicas and the broker or the API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tests.chaos.evidence import Cut
from tests.chaos.proxy import CLEAR, Weather
from worker.amqp.lease import LONGEST_TERM

if TYPE_CHECKING:
    from tests.chaos.proxy import Proxy, Side
    from tests.chaos.stage import Stage


@dataclass(frozen=True, slots=True)
class _OfSome:
    link: Literal["broker", "api"]
    numbers: tuple[int, ...]
    """The replicas' places among all."""

    def cut(self, stage: Stage) -> Cut | None:
        """Them from the link's other end."""
        return Cut(self.link, self.names(stage))

    def names(self, stage: Stage) -> frozenset[str]:
        """Their names."""
        return frozenset(stage.replicas[number].name for number in self.numbers)

    def proxies(self, stage: Stage) -> list[Proxy]:
        """Their ways to the link's other end."""
        ways = (getattr(stage.replicas[number], self.link) for number in self.numbers)
        return [proxy for way in ways for proxy in way]


@dataclass(frozen=True, slots=True)
class Reset(_OfSome):
    """RST to both sides of every connection."""

    only: bytes = b""

    def strike(self, stage: Stage) -> None:
        """Cut."""
        for proxy in self.proxies(stage):
            proxy.reset(self.only)

    def mend(self, stage: Stage) -> None:
        """Nothing is left to mend."""


@dataclass(frozen=True, slots=True)
class HalfOpen(_OfSome):
    """Connections end, and only one side is told; `believes` goes on alone."""

    believes: Side
    only: bytes = b""

    def cut(self, stage: Stage) -> Cut:
        """Them from the other end, which may give them up before they can know."""
        return Cut(self.link, self.names(stage), blind=LONGEST_TERM)

    def strike(self, stage: Stage) -> None:
        """Cut one side."""
        for proxy in self.proxies(stage):
            proxy.half_open(self.believes, self.only)

    def mend(self, stage: Stage) -> None:
        """End what the believing side still believes in."""
        for proxy in self.proxies(stage):
            proxy.reset(self.only)


@dataclass(frozen=True, slots=True)
class Refuse(_OfSome):
    """Connections are cut, and no other is taken."""

    def strike(self, stage: Stage) -> None:
        """Close the door, then cut."""
        for proxy in self.proxies(stage):
            proxy.refuse()
            proxy.reset()

    def mend(self, stage: Stage) -> None:
        """Open it again."""
        for proxy in self.proxies(stage):
            proxy.accept()


@dataclass(frozen=True, slots=True)
class Turn(_OfSome):
    """Slow, still or deaf for a while; `lossy`: what was held back is thrown away in the end."""

    weather: Weather
    lossy: bool = False

    def cut(self, stage: Stage) -> Cut | None:
        """Them from the other end; slowness cuts nobody off."""
        if self.weather.delay:
            return None
        return Cut(self.link, self.names(stage), holds_back=not self.lossy, blind=LONGEST_TERM)

    def strike(self, stage: Stage) -> None:
        """Have this weather."""
        for proxy in self.proxies(stage):
            proxy.turn(self.weather)

    def mend(self, stage: Stage) -> None:
        """Have it clear."""
        for proxy in self.proxies(stage):
            if self.lossy:
                proxy.reset(self.weather.only)
            proxy.turn(CLEAR)
