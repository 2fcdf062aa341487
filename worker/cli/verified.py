"""What the management API shows of an object, held against what it should be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from worker.amqp.survey import APPLY, Finding, State, replaced
from worker.amqp.topology import Binding, Exchange, Queue

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from schemas import Names
    from worker.amqp.topology import Object
    from worker.management import Held, Management

_NEVER: Final = frozenset(("expires", "delivery-limit"))
"""A policy that deletes a queue nobody uses, or gives up on edits sooner, loses edits."""
_LENGTHS: Final = frozenset(("max-length", "max-length-bytes"))


def verified(management: Management, findings: Iterable[Finding], names: Names) -> list[Finding]:
    """The findings as the management API knows them better; what is missing stays so.

    Raises `worker.management.ManagementError`.
    """
    virtual_host = management.virtual_host
    known = []
    for finding in findings:
        match finding.item:
            case _ if finding.state is State.MISSING:
                known.append(finding)
            case Binding(exchange, queue, key) as item:
                known.append(_bound(item, key in management.keys(exchange, queue)))
            case Exchange(name) as item:
                known.append(_compared(item, management.exchange(name), (), virtual_host))
            case Queue(name) as item:
                held = management.queue(name)
                hazards = () if held is None else _hazards(name, held.definition, names)
                known.append(_compared(item, held, hazards, virtual_host))
    return known


def strangers(management: Management, items: Iterable[Object], names: Names) -> list[Binding]:
    """What binds lanes to the edits' exchange and should not: as bindings that must not be."""
    items = list(items)
    wanted = {(each.queue, each.key) for each in items if isinstance(each, Binding)}
    lanes = [each.name for each in items if isinstance(each, Queue) and names.account_of(each.name)]
    return [
        Binding(names.exchange, lane, key, absent=True)
        for lane in lanes
        for key in sorted(management.keys(names.exchange, lane))
        if (lane, key) not in wanted
    ]


def _bound(item: Binding, there: bool) -> Finding:  # noqa: FBT001 - the one thing asked
    if there is not item.absent:
        return Finding(item, State.GOOD)
    if there:
        return Finding(item, State.DIFFERS, "it should not be there", APPLY)
    return Finding(item, State.MISSING, mend=APPLY)


def _compared(
    item: Exchange | Queue, held: Held | None, hazards: Iterable[str], virtual_host: str
) -> Finding:
    if held is None:
        return Finding(item, State.MISSING, mend=APPLY)
    differences = list(_differences(item, held))
    if differences:
        return Finding(item, State.DIFFERS, "; ".join(differences), replaced(item, virtual_host))
    if wrong := [f"{key} {held.definition[key]}" for key in hazards]:
        detail = f"the policy {held.policy} sets {', '.join(wrong)}, which can lose edits"
        mend = f"rabbitmqctl clear_policy -p {virtual_host} {held.policy}"
        return Finding(item, State.DIFFERS, detail, mend)
    return Finding(item, State.GOOD, f"policy {held.policy}" if held.policy else "")


def _differences(item: Exchange | Queue, held: Held) -> Iterator[str]:
    kind = item.kind if isinstance(item, Exchange) else item.arguments["x-queue-type"]
    if held.kind != kind:
        yield f"it should be {kind}, and is {held.kind}"
    for name in sorted({*item.arguments, *held.arguments}):
        wanted, found = item.arguments.get(name), held.arguments.get(name)
        if wanted != found:
            yield f"{name} should be {_shown(wanted)}, and is {_shown(found)}"


def _shown(value: object) -> str:
    return "absent" if value is None else str(value)


def _hazards(queue: str, definition: Mapping[str, Any], names: Names) -> list[str]:
    """The keys of a policy that would lose what is in the queue."""
    if queue in {names.journal, names.control, names.operations}:
        return []
    bad = set(_NEVER)
    if names.account_of(queue) is None:
        bad.add("message-ttl")  # a lane's expired edits go to the strays; from there nowhere
        if not str(definition.get("overflow", "")).startswith("reject-publish"):
            bad |= _LENGTHS
    return sorted(bad & set(definition))
