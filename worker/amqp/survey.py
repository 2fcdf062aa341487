"""What RabbitMQ holds against what it should, as far as AMQP can tell."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from worker.amqp.inspection import ACCESS_REFUSED, MISMATCH, NOT_FOUND
from worker.amqp.topology import Binding, Exchange, Queue, described

if TYPE_CHECKING:
    from collections.abc import Iterable

    from worker.amqp.inspection import Inspection, Refusal
    from worker.amqp.topology import Object

APPLY = "taskedit topology apply"
PRUNE = "taskedit topology prune"


class State(StrEnum):
    """How an object compares."""

    GOOD = "good"
    MISSING = "missing"
    DIFFERS = "differs"
    LEFT_OVER = "left over"
    """It was needed once: nothing serves it."""
    UNVERIFIED = "unverified"
    """It may be good: nobody here could see."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One object, and how what RabbitMQ holds compares to it."""

    item: Object
    state: State
    detail: str = ""
    mend: str = ""
    """The command that puts it right, if it has to be."""

    @property
    def name(self) -> str:
        """The object in words."""
        absent = isinstance(self.item, Binding) and self.item.absent
        return f"{'no ' if absent else ''}{described(self.item)}"


def survey(inspection: Inspection, items: Iterable[Object], *, compare: bool) -> list[Finding]:
    """A finding for each object, in the same order.

    `compare` declares anew what exists already, which changes nothing: RabbitMQ compares the
    arguments (before 4.3 not `x-consumer-timeout`) and refuses others. AMQP has no
    way to see bindings.
    """
    return [_finding(inspection, item, compare=compare) for item in items]


def _finding(inspection: Inspection, item: Object, *, compare: bool) -> Finding:
    if isinstance(item, Binding):
        return Finding(item, State.UNVERIFIED, "AMQP cannot show bindings")
    refusal = inspection.declare(item, passive=True)
    if refusal is None and compare:
        refusal = inspection.declare(item)
    elif refusal is None:
        return Finding(item, State.UNVERIFIED, "it exists; its arguments were not compared")
    return Finding(item, State.GOOD) if refusal is None else refused(inspection, item, refusal)


def refused(inspection: Inspection, item: Object, refusal: Refusal) -> Finding:
    """What it means that RabbitMQ would not declare an object."""
    match refusal.code:
        case int(code) if code == NOT_FOUND:
            return Finding(item, State.MISSING, mend=APPLY)
        case int(code) if code == MISMATCH:
            return Finding(
                item, State.DIFFERS, refusal.text, replaced(item, inspection.virtual_host)
            )
        case int(code) if code == ACCESS_REFUSED:
            return Finding(item, State.UNVERIFIED, refusal.text)
        case _:
            return Finding(item, State.DIFFERS, refusal.text)


def replaced(item: Object, virtual_host: str) -> str:
    """The commands that remove an object whose arguments cannot be changed, and make it anew."""
    match item:
        case Queue(name):
            # quorum queues and streams know no --if-empty: RabbitMQ refuses it
            empty = f"only when rabbitmqctl list_queues -p {virtual_host} name messages says 0"
            return f"rabbitmqctl delete_queue -p {virtual_host} {name} && {APPLY}  # {empty}"
        case Exchange(name):
            return f"rabbitmqadmin -V {virtual_host} delete exchange name={name} && {APPLY}"
        case Binding():
            return APPLY
