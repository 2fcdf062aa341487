"""Lanes that no account of the settings owns any more: found, and where their edits belong."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from schemas import Bounds, Names
from schemas.names import app_key
from worker.amqp.admin import NOT_FOUND, PRUNE, ObjectCheck, ObjectState, Refusal
from worker.amqp.topology import Queue, lane_arguments
from worker.core.decode import decode
from worker.core.settlement import handed_on
from worker.core.unrouted import ANY
from worker.pipeline.former_lanes import FormerLanes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.amqp.admin import Inspection
    from worker.core.message import Delivery, Publication
    from worker.core.unrouted import Ownership
    from worker.management import Management
    from worker.settings import Settings


@dataclass(frozen=True, slots=True)
class Counted:
    """A lane of no account, as AMQP counts it."""

    account: str
    """Whose lane it was."""
    edits: int
    """How many wait in it; those that a consumer has are not among them."""
    consumers: int


def counted(
    inspection: Inspection, asked: Management | None, settings: Settings
) -> Iterator[Counted | tuple[str, Refusal]]:
    """Every such lane, or its account and why it may not be counted.

    By the management API all of them; by AMQP alone, which lists no queues, those whose accounts
    were served from this state folder, and `default`.
    """
    names = Names(settings.namespace)
    if asked is not None:
        known = {names.account_of(queue) for queue in asked.queues()} - {None}
    else:
        known = {*FormerLanes(settings.state_dir, make=False).keys}
    for account in sorted(each for each in known if each is not None):
        if any(account == each.name for each in settings.accounts):
            continue
        queue = names.lane(account)
        answer = inspection.ask(lambda channel: channel.queue_declare(queue, passive=True))  # noqa: B023
        if not isinstance(answer, Refusal):
            yield Counted(account, answer.method.message_count, answer.method.consumer_count)
        elif asked is not None and answer.code != NOT_FOUND:
            yield account, answer


def found(
    inspection: Inspection, asked: Management | None, settings: Settings
) -> Iterator[ObjectCheck]:
    """The same as findings. One that somebody consumes may be another deployment's."""
    names = Names(settings.namespace)
    for each in counted(inspection, asked, settings):
        if isinstance(each, tuple):
            account, refusal = each
            item = Queue(names.lane(account), lane_arguments(names))
            yield ObjectCheck(item, ObjectState.UNVERIFIED, f"no account owns it; {refusal.text}")
            continue
        item = Queue(names.lane(each.account), lane_arguments(names))
        if each.consumers:
            detail = "no account of these settings owns it, and somebody consumes it"
            yield ObjectCheck(item, ObjectState.UNVERIFIED, detail)
            continue
        by = "AMQP cannot show by what it is bound"
        if asked is not None:
            keys = sorted({repr(bound.key) for bound in asked.bindings(item.name)})
            by = f"bound by {', '.join(keys)}" if keys else "bound by nothing"
        detail = f"no account owns it; edits in it: {each.edits}; {by}"
        yield ObjectCheck(item, ObjectState.LEFT_OVER, detail, PRUNE)


def moved(delivery: Delivery, account: str, owned: Ownership, names: Names) -> Publication:
    """The edit for where it belongs: its appId's lane, or the strays, where a worker rejects it.

    `account`: whose lane it was in. Of an edit without a readable appId its routing key counts.
    """
    app_id = decode(delivery, None, Bounds()).head.app_id
    sole = next((name for name, keys in owned.keys.items() if ANY in keys), None)
    owner = owned.owner(app_id or delivery.routing_key) or sole
    if owner is not None:
        return handed_on(delivery, account, names.lane(owner))
    key = delivery.routing_key if delivery.exchange else app_key(app_id)
    stray = handed_on(delivery, account, key)
    return replace(stray, exchange=names.strays)
