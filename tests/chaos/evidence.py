"""What is known of a run from outside the worker; moments are epoch seconds of one machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tests.acceptance.kit import KEY
from tests.chaos.names import APP

if TYPE_CHECKING:
    from ops.simulator.control import Call

APPLIED = "applied"
Link = Literal["process", "broker", "api"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A message that the ledger has published."""

    number: int
    """Its place in the order of publishing, from 0."""
    message_id: str
    job: int | None
    name: str | None
    """The edit's name, which no other has: how the API's record knows it. None if unreadable."""
    expected: frozenset[str]
    """What may become of it: `APPLIED`, or reasons of a rejection."""
    confirmed: float | None
    """When RabbitMQ confirmed it; None if that was never heard, so that it may be lost."""
    again: bool = False
    """The same message was published before."""
    app: str = APP


@dataclass(frozen=True, slots=True)
class Event:
    """An event out of the journal."""

    id: str
    message_id: str
    outcome: str
    """`APPLIED`, or the reason of the rejection."""
    at: float


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter."""

    message_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Return:
    """A dead letter that was moved back to its lane as it was."""

    message_id: str
    redrives: str
    """What its header said of earlier ones: with the message id, which rejection it is of."""
    at: float
    confirmed: bool
    """Whether RabbitMQ has said that the lane holds it."""


@dataclass(frozen=True, slots=True)
class Pause:
    """An operator's pause: no call between the command's success and the resume's beginning."""

    since: float
    until: float
    account: str = KEY
    """Its API key."""


@dataclass(frozen=True, slots=True)
class Contact:
    """A call as the API recorded it, and which replica made it."""

    call: Call
    replica: str


@dataclass(frozen=True, slots=True)
class Cut:
    """What a fault keeps apart: these replicas from running, from the broker, or from the API."""

    link: Link
    replicas: frozenset[str]
    holds_back: bool = False
    """Calls that were begun before may come out at its end."""
    blind: float = 0.0
    """Seconds for which the replicas cannot know of it: their lease, at most."""


@dataclass(frozen=True, slots=True)
class Strike:
    """A fault that was carried out: between `begun` and `struck` it took hold."""

    fault: str
    begun: float
    struck: float
    mended: float
    cut: Cut | None = None


@dataclass(frozen=True, slots=True)
class Limit:
    """At most so many calls in any window of so many seconds."""

    calls: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Departure:
    """A call as it left a replica, whether or not it reached the API."""

    at: float
    """When it was seen."""
    account: str
    """Its API key."""
    late: float = 0.0
    """Seconds by which it may have left before: for so long nobody had looked."""


@dataclass(frozen=True, slots=True)
class Term:
    """What an account allows. While that changes, the former and the next hold side by side."""

    account: str
    """Its API key."""
    limits: tuple[Limit, ...]
    since: float = 0.0
    until: float = float("inf")


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose an app is. While it moves, it is the former's and the next one's."""

    app: str
    account: str
    """The API key."""
    since: float = 0.0
    until: float = float("inf")


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that the auditor looks at."""

    entries: tuple[Entry, ...]
    events: tuple[Event, ...]
    letters: tuple[Letter, ...]
    contacts: tuple[Contact, ...]
    sent: tuple[Departure, ...]
    strikes: tuple[Strike, ...]
    ended: tuple[str, ...]
    """Replicas that ended by themselves, in words."""
    terms: tuple[Term, ...]
    concurrency: int
    """Calls in flight that one replica may have for one account."""
    returns: tuple[Return, ...] = ()
    pauses: tuple[Pause, ...] = ()
    owners: tuple[Owner, ...] = ()
    """Of the apps that move; of each in the order of time."""
    forgotten: tuple[float, ...] = ()
    """When a deleted journal was there again: what had ended before may be called again."""
