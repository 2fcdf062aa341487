"""What RabbitMQ has to hold: the objects of the contract, as values, and their declaration."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from schemas import Names

DELIVERIES_AT_MOST = 1000
"""A last resort against poison: two weeks of outage, for each give-back counts before 4.3."""
UNLIMITED_DELIVERIES = 2_147_483_647
ACK_TIMEOUT_MS = 3_600_000
JOURNAL_BYTES = 2_000_000_000
CONTROL_BYTES = 20_000_000
ANY = "#"
"""The binding key of whatever appId there is."""
OPERATIONS_BYTES = 200_000_000


@dataclass(frozen=True, slots=True)
class Exchange:
    """An exchange, durable."""

    name: str
    kind: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue, durable."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Binding:
    """From an exchange to a queue; with `absent`, one that must not be."""

    exchange: str
    queue: str
    key: str
    absent: bool = False


Object = Exchange | Queue | Binding


def shared_objects(names: Names) -> tuple[Object, ...]:
    """What all lanes share, in the order of declaration, the journal aside: `journal_objects`."""
    quorum = {"x-queue-type": "quorum", "x-delivery-limit": UNLIMITED_DELIVERIES}
    return (
        Exchange(names.strays, "fanout"),
        Exchange(names.exchange, "topic", {"alternate-exchange": names.strays}),
        Exchange(names.events, "topic"),
        Exchange(names.dead, "fanout"),
        Queue(names.strays, quorum | {"x-single-active-consumer": True}),
        Queue(names.dead, quorum),
        Binding(names.strays, names.strays, ""),
        Binding(names.dead, names.dead, ""),
    )


def journal_objects(names: Names) -> tuple[Object, ...]:
    """The stream of all events; apart, for the worker does without where streams are missing."""
    arguments = {
        "x-queue-type": "stream",
        "x-max-age": "7D",
        "x-max-length-bytes": JOURNAL_BYTES,
    }
    return Queue(names.journal, arguments), Binding(names.events, names.journal, "#")


def operators_objects(names: Names) -> tuple[Object, ...]:
    """What operators' wishes, their doings and the workers' heartbeats go through.

    Apart, for the worker runs without them: an older user may not be allowed to declare them.
    """
    stream = {"x-queue-type": "stream"}
    return (
        Exchange(names.fleet, "fanout"),
        Queue(names.control, stream | {"x-max-length-bytes": CONTROL_BYTES}),
        Queue(
            names.operations,
            stream | {"x-max-age": "1Y", "x-max-length-bytes": OPERATIONS_BYTES},
        ),
    )


def lane_objects(names: Names, account: str, keys: Iterable[str]) -> tuple[Object, ...]:
    """An account's lane: its queue, and what it is bound by.

    A lane that is bound by appIds is unbound from all the others before anybody calls it ready.
    """
    queue, bound = names.lane(account), sorted(keys)
    bindings = [Binding(names.exchange, queue, key) for key in bound]
    if bound and ANY not in bound:
        bindings.append(Binding(names.exchange, queue, ANY, absent=True))
    return Queue(queue, lane_arguments(names)), *bindings


def lane_arguments(names: Names) -> dict[str, Any]:
    """The arguments of a lane's queue, fixed for a major version."""
    return {
        "x-queue-type": "quorum",
        "x-single-active-consumer": True,
        "x-delivery-limit": DELIVERIES_AT_MOST,
        "x-consumer-timeout": ACK_TIMEOUT_MS,
        "x-dead-letter-exchange": names.strays,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }


def described(item: Object) -> str:
    """The object in words, for people."""
    match item:
        case Exchange(name, kind):
            return f"{kind} exchange {name}"
        case Queue(name, arguments):
            return f"{arguments.get('x-queue-type', 'classic')} queue {name}"
        case Binding(exchange, queue, key):
            return f"binding from {exchange} to {queue} by {key!r}"


MISMATCH = 406
"""RabbitMQ's reply code when it holds an object with other arguments, or has no room for more."""
APPLY = "taskedit topology apply"


def is_held_otherwise(code: int | None, text: str) -> bool:
    """Whether RabbitMQ refused a declaration for what it holds, not for what it cannot have."""
    return code == MISMATCH and "inequivalent" in text


def refused(item: Object, code: int | None, text: str, virtual_host: str) -> str:
    """Why a declaration was refused, in RabbitMQ's own words, and the way out if there is one.

    A mismatch names the argument and both values: "inequivalent arg 'x-delivery-limit' for queue
    … received '1000' but current is '5'".
    """
    way_out = f"; the way out: {replaced(item, virtual_host)}"
    return f"{described(item)}: {text}{way_out if is_held_otherwise(code, text) else ''}"


def replaced(item: Object, virtual_host: str) -> str:
    """The commands that remove an object whose arguments cannot be changed, and make it anew."""
    match item:
        case Queue(name, arguments):
            # quorum queues and streams know no --if-empty: RabbitMQ refuses it
            known = f"only when rabbitmqctl list_queues -p {virtual_host} name messages says 0"
            if arguments.get("x-queue-type") == "stream":  # which nothing ever empties
                known = "all that it holds is lost"
            return f"rabbitmqctl delete_queue -p {virtual_host} {name} && {APPLY}  # {known}"
        case Exchange(name):
            return f"rabbitmqadmin -V {virtual_host} delete exchange name={name} && {APPLY}"
        case Binding():
            return APPLY
