"""The way of a dead letter, from its exchange to its queue."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from schemas import Names
from worker.amqp.admin import APPLY, ObjectState, Refusal, may_read, may_write
from worker.amqp.topology import Binding, Exchange
from worker.cli.doctor.check import Check, Health
from worker.cli.rabbitmq import management
from worker.deadletters.prove import Broken, prove
from worker.deadletters.visit import Broker, VisitFailure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.amqp.admin import Inspection, ObjectCheck
    from worker.settings import Settings

NAME: Final = "dead letters"
LETTERS_AT_MOST: Final = 2000
"""More are not taken for a look behind them: that may be 64 KiB each."""


def proved(inspection: Inspection, settings: Settings, findings: Sequence[ObjectCheck]) -> Check:
    """Whether a dead letter arrives: by a probe where one may be sent, else by its binding."""
    names = Names(settings.namespace)
    if why := _against(inspection, settings, names):
        return _by_binding(findings, names, why)
    found = prove(Broker.of(settings, version("task-edit-worker")))
    match found:
        case None:
            says = f"a probe went from {names.dead} to {names.dead}, and was removed"
            return Check(NAME, Health.GOOD, says)
        case Broken(why):
            return Check(NAME, Health.BAD, why, APPLY)
        case VisitFailure():
            return _by_binding(findings, names, found.why)


def _against(inspection: Inspection, settings: Settings, names: Names) -> str | None:
    """Why no probe may be sent; None when nothing is against it."""
    dead = names.dead
    queue = inspection.ask(lambda channel: channel.queue_declare(dead, passive=True))
    exchange = inspection.declare(Exchange(dead, "fanout"), passive=True)
    if isinstance(queue, Refusal) or exchange is not None:
        return f"{dead} is not there yet"
    if not (may_write(inspection, dead) and may_read(inspection, dead, dead)):
        return f"the user {inspection.user} may not read {dead}, so none could be removed"
    if queue.method.consumer_count:
        return f"something consumes {dead}, and would be given it"
    if queue.method.message_count > LETTERS_AT_MOST:
        return f"{queue.method.message_count} letters are too many to look behind"
    asked = management(settings, inspection.virtual_host)
    if asked is not None:
        with asked:
            if others := sorted(asked.bound_to(dead) - {dead}):
                return f"{', '.join(others)} would be given it too"
    return None


def _by_binding(findings: Sequence[ObjectCheck], names: Names, why: str) -> Check:
    """What is known without a probe."""
    way = Binding(names.dead, names.dead, "")
    missing = {
        getattr(each.item, "name", "") for each in findings if each.state is ObjectState.MISSING
    }
    [found] = [each for each in findings if each.item == way]
    if found.state is ObjectState.GOOD:
        return Check(NAME, Health.GOOD, f"its binding is there; no probe was sent: {why}")
    if names.dead in missing:
        return Check(NAME, Health.UNVERIFIED, f"no probe was sent: {why}", APPLY)
    if found.state is ObjectState.MISSING:
        return Check(NAME, Health.BAD, f"the {found.name} is missing", APPLY)
    return Check(NAME, Health.UNVERIFIED, f"no probe was sent: {why}")
