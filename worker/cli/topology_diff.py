"""What RabbitMQ holds against what it should, and the lanes that no account owns any more.

AMQP alone shows exchanges, queues and their arguments; bindings, policies and all lanes are seen
by the management API only.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from schemas import Names
from worker.amqp.admin import (
    PRUNE,
    ObjectCheck,
    ObjectState,
    check,
    count,
)
from worker.amqp.session import NOT_FOUND, ChannelClosedError, FailureKind, SessionError
from worker.amqp.topology import (
    APPLY,
    Binding,
    Exchange,
    Queue,
    journal_objects,
    lane_arguments,
    lane_objects,
    operators_objects,
    replaced,
    shared_objects,
)
from worker.core.unrouted import keys_of
from worker.management import Management, ManagementError
from worker.pipeline.former_lanes import FormerLanes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
    from typing import Any

    from worker.amqp.session import Session
    from worker.amqp.topology import Object
    from worker.management import Held
    from worker.settings import Settings


_NEVER: Final = frozenset(("expires", "delivery-limit"))
"""A policy that deletes a queue nobody uses, or gives up on edits sooner, loses edits."""
_LENGTHS: Final = frozenset(("max-length", "max-length-bytes"))


def objects(settings: Settings) -> list[Object]:
    """Everything that the worker of these settings needs, in the order of declaration."""
    names = Names(settings.namespace)
    found = [*shared_objects(names), *journal_objects(names), *operators_objects(names)]
    for account in settings.accounts:
        found += lane_objects(names, account.name, keys_of(account))
    return found


@asynccontextmanager
async def management(session: Session, settings: Settings) -> AsyncIterator[Management | None]:
    """The management API, if the settings name it; without a user of its own, with RabbitMQ's.

    Where it cannot be asked, that is a `SessionError`.
    """
    if settings.management_url is None:
        yield None
        return
    parts = urlsplit(settings.amqp_urls[0].get_secret_value())
    user = unquote(parts.username or "guest"), unquote(parts.password or "guest")
    url = settings.management_url.get_secret_value()
    with Management(url, session.virtual_host, user=user) as asked:
        try:
            yield asked
        except ManagementError as error:
            raise SessionError(FailureKind.ABSENT, str(error)) from error


async def compared(session: Session, settings: Settings) -> list[ObjectCheck]:
    """What RabbitMQ holds against what it should: by AMQP, and by management where it may."""
    items = objects(settings)
    found = await check(session, items, compare=settings.declare)
    async with management(session, settings) as asked:
        if asked is not None:
            unwanted = await asyncio.to_thread(strangers, asked, items, session.names)
            found += await check(session, unwanted, compare=False)
            found = await asyncio.to_thread(verified, asked, found, session.names)
        return [*found, *await left_over(session, asked, settings)]


def verified(
    management: Management, findings: Iterable[ObjectCheck], names: Names
) -> list[ObjectCheck]:
    """The findings as the management API knows them better; what is missing stays so.

    Raises `worker.management.ManagementError`.
    """
    virtual_host = management.virtual_host
    known = []
    for finding in findings:
        match finding.item:
            case _ if finding.state is ObjectState.MISSING:
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


def _bound(item: Binding, there: bool) -> ObjectCheck:  # noqa: FBT001 - the one thing asked
    if there is not item.absent:
        return ObjectCheck(item, ObjectState.GOOD)
    if there:
        return ObjectCheck(item, ObjectState.DIFFERS, "it should not be there", APPLY)
    return ObjectCheck(item, ObjectState.MISSING, mend=APPLY)


def _compared(
    item: Exchange | Queue, held: Held | None, hazards: Iterable[str], virtual_host: str
) -> ObjectCheck:
    if held is None:
        return ObjectCheck(item, ObjectState.MISSING, mend=APPLY)
    differences = list(_differences(item, held))
    if differences:
        return ObjectCheck(
            item, ObjectState.DIFFERS, "; ".join(differences), replaced(item, virtual_host)
        )
    if wrong := [f"{key} {held.definition[key]}" for key in hazards]:
        detail = f"the policy {held.policy} sets {', '.join(wrong)}, which can lose edits"
        mend = f"rabbitmqctl clear_policy -p {virtual_host} {held.policy}"
        return ObjectCheck(item, ObjectState.DIFFERS, detail, mend)
    return ObjectCheck(item, ObjectState.GOOD, f"policy {held.policy}" if held.policy else "")


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


# Lanes of no account


@dataclass(frozen=True, slots=True)
class Counted:
    """A lane of no account, as AMQP counts it."""

    account: str
    """Whose lane it was."""
    edits: int
    """How many wait in it; those that a consumer has are not among them."""
    consumers: int


async def counted(
    session: Session, asked: Management | None, settings: Settings
) -> AsyncIterator[Counted | tuple[str, str]]:
    """Every such lane, or its account and why it may not be counted.

    By the management API all of them; by AMQP alone, which lists no queues, those whose accounts
    were served from this state folder, and `default`.
    """
    if asked is not None:
        queues = await asyncio.to_thread(asked.queues)
        known = {session.names.account_of(queue) for queue in queues} - {None}
    else:
        known = {*FormerLanes(settings.state_dir, make=False).keys}
    for account in sorted(each for each in known if each is not None):
        if any(account == each.name for each in settings.accounts):
            continue
        answer = await count(session, session.names.lane(account))
        if not isinstance(answer, ChannelClosedError):
            yield Counted(account, *answer)
        elif asked is not None and answer.code != NOT_FOUND:
            yield account, answer.text


async def left_over(
    session: Session, asked: Management | None, settings: Settings
) -> list[ObjectCheck]:
    """The same as findings. One that somebody consumes may be another deployment's."""
    return [
        await _finding(session.names, asked, each)
        async for each in counted(session, asked, settings)
    ]


async def _finding(
    names: Names, asked: Management | None, each: Counted | tuple[str, str]
) -> ObjectCheck:
    if isinstance(each, tuple):
        account, refusal = each
        item = Queue(names.lane(account), lane_arguments(names))
        return ObjectCheck(item, ObjectState.UNVERIFIED, f"no account owns it; {refusal}")
    item = Queue(names.lane(each.account), lane_arguments(names))
    if each.consumers:
        detail = "no account of these settings owns it, and somebody consumes it"
        return ObjectCheck(item, ObjectState.UNVERIFIED, detail)
    by = "AMQP cannot show by what it is bound"
    if asked is not None:
        bindings = await asyncio.to_thread(asked.bindings, item.name)
        keys = sorted({repr(bound.key) for bound in bindings})
        by = f"bound by {', '.join(keys)}" if keys else "bound by nothing"
    detail = f"no account owns it; edits in it: {each.edits}; {by}"
    return ObjectCheck(item, ObjectState.LEFT_OVER, detail, PRUNE)
