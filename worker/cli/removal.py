"""Queues and exchanges deleted without losing an edit: `taskedit topology prune` and `delete`."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from schemas import Bounds
from schemas.names import app_key
from worker.amqp.admin import count
from worker.amqp.session import NOT_FOUND, ChannelClosedError, FailureKind, SessionError
from worker.core.decode import decode
from worker.core.message import ConfirmResult
from worker.core.settlement import handed_on, published_to
from worker.core.unrouted import ANY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence

    from schemas import Names
    from worker.amqp.session import DeliveryStream, Session
    from worker.core.message import Delivery, Publication
    from worker.core.unrouted import Ownership
    from worker.management import Bound

QUIET: Final = 1.0
"""Seconds without an edit after which a lane is counted."""


async def prune(
    session: Session,
    lanes: Mapping[str, Sequence[Bound]],
    owned: Ownership,
    done: Callable[[str, int], None],
) -> None:
    """Unbind each lane (by its account), move its edits to where they belong, delete it.

    `done` is told the queue and how many edits were moved. Killed at any moment nothing is lost:
    an edit is acked once it is confirmed elsewhere. At most one is then in both places, and the
    next run moves it again, directly behind itself. Raises `SessionError`.
    """
    for account, bindings in lanes.items():
        queue = session.names.lane(account)
        channel = await session.channel()
        for one in bindings:
            arguments = dict(one.arguments)
            await channel.call("queue_unbind", queue, one.exchange, one.key, arguments=arguments)
        # one in hand: what a killed run leaves in both places is never followed by a second
        edits = await channel.consume(queue, prefetch=1)
        count = 0
        async for delivery in _until_empty(edits, queue):
            publication = moved(delivery, account, owned, session.names)
            if await session.publish(publication) is not ConfirmResult.CONFIRMED:
                target = publication.exchange or publication.routing_key
                why = f"no more edits of {queue} go to {target}: is it full, or missing?"
                why += f" Moved: {count}; the rest stays"
                raise SessionError(FailureKind.BUSY, why)
            channel.ack(delivery.tag)
            count += 1
        await channel.call("queue_delete", queue)
        channel.close()
        done(queue, count)


async def _until_empty(edits: DeliveryStream, queue: str) -> AsyncIterator[Delivery]:
    """Each edit, until there are none for a while, ready or on their way.

    Quorum queues know no deletion *if empty*, so it is looked at twice with a pause between. The
    one waiting for a delivery is never given up: a delivery would be lost with it, unacked, and
    the queue be deleted.
    """
    quiet = 0
    coming = asyncio.ensure_future(anext(edits))
    try:
        while quiet < 2:  # noqa: PLR2004 (twice, as said)
            await asyncio.wait((coming,), timeout=QUIET)
            if coming.done():
                yield coming.result()
                quiet, coming = 0, asyncio.ensure_future(anext(edits))
                continue
            ready, consumers = await edits.channel.counts(queue)
            if consumers != 1:
                raise SessionError(FailureKind.BUSY, f"somebody else consumes {queue}")
            quiet = 0 if ready else quiet + 1
    finally:
        coming.cancel()


async def delete(
    session: Session,
    exchanges: Iterable[str],
    queues: Iterable[str],
    *,
    even_with_content: Iterable[str],
) -> None:
    """Delete exchanges, so that nothing more comes, then queues; raises `SessionError`.

    Each queue is looked at once more: only one in `even_with_content` may hold anything by then.
    """
    channel = await session.channel()
    for exchange in exchanges:
        await channel.call("exchange_delete", exchange)
    spared = set(even_with_content)
    for queue in queues:
        if queue not in spared and (content := await held(session, queue)):
            raise SessionError(FailureKind.FAILED, f"by now {queue} has {content}; it stays")
        await channel.call("queue_delete", queue)
    channel.close()


async def held(session: Session, queue: str) -> str:
    """What speaks against deleting a queue, in words; empty when nothing does."""
    found = await count(session, queue)
    if isinstance(found, ChannelClosedError):
        if found.code != NOT_FOUND:
            raise found
        return ""
    messages, consumers = found
    return f"messages: {messages}, consumers: {consumers}" if any(found) else ""


def moved(delivery: Delivery, account: str, owned: Ownership, names: Names) -> Publication:
    """The edit for where it belongs: its appId's lane, or the strays, where a worker rejects it.

    `account`: whose lane it was in. Of an edit without a readable appId its routing key counts.
    """
    app_id = decode(delivery, None, Bounds()).head.app_id
    sole = next((name for name, keys in owned.keys.items() if ANY in keys), None)
    exchange, key = published_to(delivery)
    owner = owned.owner(app_id or key) or sole
    if owner is not None:
        return handed_on(delivery, account, names.lane(owner))
    key = key if exchange else app_key(app_id)
    stray = handed_on(delivery, account, key)
    return replace(stray, exchange=names.strays)
