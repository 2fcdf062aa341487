"""The topology and the permissions: whether the worker finds what it needs, and may use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas import Names
from worker.amqp.admin import APPLY, ObjectState, may_publish_to_queues, unreadable, unwritable
from worker.amqp.topology import Exchange
from worker.cli.doctor.check import Check, Health
from worker.cli.topology import DEFAULT_EXCHANGE, needed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from worker.amqp.admin import Inspection, ObjectCheck
    from worker.settings import Settings

NAME = "topology"


def laid(findings: Sequence[ObjectCheck], settings: Settings) -> Iterator[Check]:
    """What `topology show` found, in short."""
    by_state = {state: [each for each in findings if each.state is state] for state in ObjectState}
    if not by_state[ObjectState.MISSING] and not by_state[ObjectState.DIFFERS]:
        yield Check(
            NAME, Health.GOOD, f"{len(by_state[ObjectState.GOOD])} objects are as they should be"
        )
    for each in by_state[ObjectState.DIFFERS]:
        yield Check(NAME, Health.BAD, f"{each.name} differs: {each.detail}", each.mend)
    for each in by_state[ObjectState.LEFT_OVER]:
        yield Check(NAME, Health.BAD, f"{each.name} is left over: {each.detail}", each.mend)
    if missing := [each.name for each in by_state[ObjectState.MISSING]]:
        says = f"missing: {', '.join(missing)}"
        items = [each.item for each in by_state[ObjectState.MISSING]]
        exchange = Names(settings.namespace).exchange
        can_publish = all(not isinstance(item, Exchange) or item.name != exchange for item in items)
        if settings.declare and can_publish:
            yield Check(NAME, Health.NOTE, f"{says}; a worker declares it when it starts", APPLY)
        else:
            fix = APPLY if settings.declare else f"TASKEDIT_DECLARE=true {APPLY}"
            yield Check(NAME, Health.BAD, says, fix)
    if unseen := by_state[ObjectState.UNVERIFIED]:
        says = f"{len(unseen)} objects, such as the {unseen[0].name}: {unseen[0].detail}"
        mend = "" if settings.management_url else "set TASKEDIT_MANAGEMENT_URL"
        yield Check(NAME, Health.UNVERIFIED, says, mend)


def allowed(
    inspection: Inspection, settings: Settings, findings: Sequence[ObjectCheck]
) -> Iterator[Check]:
    """Whether the user may do what the worker does; asked without doing any of it."""
    names = Names(settings.namespace)
    lanes = [names.lane(account.name) for account in settings.accounts]
    wanted = needed(names, lanes, declare=settings.declare)
    lacking = [
        f"write to {name}" for name in unwritable(inspection, wanted.write - {DEFAULT_EXCHANGE})
    ]
    if not may_publish_to_queues(inspection):
        lacking.append(f"write to {DEFAULT_EXCHANGE}")
    if not lacking:
        lacking += [f"read {name}" for name in unreadable(inspection, wanted.read, names.events)]
    lacking += [
        f"configure {each.name}"
        for each in findings
        if each.state is ObjectState.UNVERIFIED and "ACCESS_REFUSED" in each.detail
    ]
    if lacking:
        says = f"the user {inspection.user} may not {', '.join(lacking)}"
        mend = wanted.command(inspection.user, inspection.virtual_host)
        yield Check("permissions", Health.BAD, says, mend)
    else:
        yield Check("permissions", Health.GOOD, f"the user {inspection.user} may do all it needs")
