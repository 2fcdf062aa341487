"""RabbitMQ: whether it is there, holds what the worker needs, and lets the worker use it."""

from __future__ import annotations

import asyncio
import re
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from schemas import Names
from worker.amqp.admin import (
    ObjectState,
    may_publish_to_queues,
    unreadable,
    unwritable,
)
from worker.amqp.session import SessionError, connected
from worker.amqp.topology import APPLY, Binding, Exchange
from worker.cli.doctor.check import Check, Health
from worker.cli.exits import ABSENT
from worker.cli.sessions import broker_of
from worker.cli.topology import DEFAULT_EXCHANGE, needed
from worker.cli.topology_diff import compared, management
from worker.core.rendezvous import spreads
from worker.management import ManagementError
from worker.settings import texts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from worker.amqp.admin import ObjectCheck
    from worker.amqp.session import Session
    from worker.settings import Settings

NAME = "broker"
PRIORITIES_OVERTAKE: Final = (4, 0)
"""The first whose quorum queues deliver by priority."""
OLDEST: Final = (3, 10)
"""The first with at-least-once dead-lettering, and with time to live in quorum queues."""
QUEUES_OWN_TIMEOUT: Final = (3, 12)
"""The first that honours x-consumer-timeout; below, the broker's own setting counts."""
LOWEST_TIMEOUT: Final = (4, 3)
"""The first where the lowest of it, a policy and the broker's own setting counts."""


@asynccontextmanager
async def reached(settings: Settings) -> AsyncIterator[tuple[Session | None, list[Check]]]:
    """A session at the first address that can be reached, and what is to be said of the others."""
    broker, stopping = broker_of(settings), asyncio.Event()
    first: Session | None = None
    away = []
    async with AsyncExitStack() as stack:
        for url in broker.urls:
            one = connected(replace(broker, urls=(url,)), stopping)
            try:
                session = await stack.enter_async_context(one)
            except SessionError as error:
                away.append((url, error.failure.why))
            else:
                first = first or session
        health = Health.BAD if first is None else Health.NOTE
        yield first, [Check(NAME, health, why, _fix(url, why), ABSENT) for url, why in away]


async def examined(session: Session, settings: Settings) -> AsyncIterator[Check]:
    """What RabbitMQ is asked; nothing is published here, and no letter taken."""
    try:
        for check in able(session, settings):
            yield check
        if away := await _management_away(session, settings):
            yield away
            settings = replace(settings, management_url=None)
        findings = await compared(session, settings)
        for check in laid(findings, settings):
            yield check
        yield await allowed(session, settings, findings)
        yield await _dead_letters(session, settings, findings)
    except SessionError as error:
        yield Check(NAME, Health.BAD, error.failure.why, "rabbitmqctl status", ABSENT)


def able(session: Session, settings: Settings) -> Iterator[Check]:
    """Whether the one that was reached can do what the worker needs."""
    server = session.server
    product, stated = str(server.get("product", "")), str(server.get("version", ""))
    says = f"{product} {stated} at {session.address}, user {session.user}"
    number = tuple(int(part) for part in re.findall(r"\d+", stated)[:2])
    if product != "RabbitMQ":
        yield Check(NAME, Health.NOTE, f"{says}: the worker is only known to work on RabbitMQ")
    elif number < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        says += f" is too old: at-least-once dead-lettering needs {wanted}"
        yield Check(NAME, Health.BAD, says, f"upgrade RabbitMQ to {wanted} or later")
    else:
        yield Check(NAME, Health.GOOD, says)
        yield Check("broker features", Health.GOOD, "quorum queues, streams, at-least-once")
        yield _timeout(number, settings)
        yield _replicas(number)
        if number >= PRIORITIES_OVERTAKE:
            says = (
                "from RabbitMQ 4.0 on an edit published with a priority above 4 overtakes others"
                " of its lane, of its own job too; whether one is, cannot be seen from here"
            )
            yield Check("priority", Health.NOTE, says)


async def _management_away(session: Session, settings: Settings) -> Check | None:
    """Why the management API cannot be asked, if it was set and cannot."""
    async with management(session, settings) as asked:
        if asked is None:
            return None
        try:
            await asyncio.to_thread(asked.exchange, session.names.exchange)
        except ManagementError as error:
            fix = f"rabbitmqctl set_user_tags {asked.user} monitoring, or correct"
            fix += " TASKEDIT_MANAGEMENT_URL"
            return Check("management", Health.NOTE, str(error), fix)
    return None


def laid(findings: Sequence[ObjectCheck], settings: Settings) -> Iterator[Check]:
    """What `topology show` found, in short."""
    by_state = {state: [each for each in findings if each.state is state] for state in ObjectState}
    if not by_state[ObjectState.MISSING] and not by_state[ObjectState.DIFFERS]:
        yield Check(
            "topology",
            Health.GOOD,
            f"{len(by_state[ObjectState.GOOD])} objects are as they should be",
        )
    for each in by_state[ObjectState.DIFFERS]:
        yield Check("topology", Health.BAD, f"{each.name} differs: {each.detail}", each.mend)
    # Who knows no account, such as the console, cannot tell whose a lane is.
    for each in by_state[ObjectState.LEFT_OVER] if settings.accounts else ():
        yield Check("topology", Health.BAD, f"{each.name} is left over: {each.detail}", each.mend)
    if missing := [each.name for each in by_state[ObjectState.MISSING]]:
        says = f"missing: {', '.join(missing)}"
        items = [each.item for each in by_state[ObjectState.MISSING]]
        exchange = Names(settings.namespace).exchange
        can_publish = all(not isinstance(item, Exchange) or item.name != exchange for item in items)
        if settings.declare and can_publish:
            says += "; a worker declares it when it starts"
            yield Check("topology", Health.NOTE, says, APPLY)
        else:
            fix = APPLY if settings.declare else f"TASKEDIT_DECLARE=true {APPLY}"
            yield Check("topology", Health.BAD, says, fix)
    if unseen := by_state[ObjectState.UNVERIFIED]:
        says = f"{len(unseen)} objects, such as the {unseen[0].name}: {unseen[0].detail}"
        mend = "" if settings.management_url else "set TASKEDIT_MANAGEMENT_URL"
        yield Check("topology", Health.UNVERIFIED, says, mend)


async def allowed(session: Session, settings: Settings, findings: Sequence[ObjectCheck]) -> Check:
    """Whether the user may do what the worker does; asked without doing any of it."""
    names = session.names
    lanes = [names.lane(account.name) for account in settings.accounts]
    wanted = needed(names, lanes, declare=settings.declare)
    targets = wanted.write - {DEFAULT_EXCHANGE}
    lacking = [f"write to {name}" for name in await unwritable(session, targets)]
    if not await may_publish_to_queues(session):
        lacking.append(f"write to {DEFAULT_EXCHANGE}")
    if not lacking:
        unread = await unreadable(session, wanted.read, names.events)
        lacking += [f"read {name}" for name in unread]
    lacking += [
        f"configure {each.name}"
        for each in findings
        if each.state is ObjectState.UNVERIFIED and "ACCESS_REFUSED" in each.detail
    ]
    if lacking:
        says = f"the user {session.user} may not {', '.join(lacking)}"
        fix = wanted.command(session.user, session.virtual_host)
        return Check("permissions", Health.BAD, says, fix)
    return Check("permissions", Health.GOOD, f"the user {session.user} may do all it needs")


async def _dead_letters(
    session: Session, settings: Settings, findings: Sequence[ObjectCheck]
) -> Check:
    """The way of a dead letter, from its exchange to its queue, as they are declared and bound."""
    name, dead = "dead letters", session.names.dead
    states = {each.item: each.state for each in findings if isinstance(each.item, Binding)}
    missing = {
        each.item.name
        for each in findings
        if not isinstance(each.item, Binding) and each.state is ObjectState.MISSING
    }
    bound = states[Binding(dead, dead, "")]
    if dead in missing:
        return Check(name, Health.UNVERIFIED, f"{dead} is not there yet", APPLY)
    if bound is ObjectState.MISSING:
        return Check(name, Health.BAD, f"the exchange {dead} is not bound to its queue", APPLY)
    if bound is not ObjectState.GOOD:
        says = f"AMQP cannot show whether the exchange {dead} is bound to its queue"
        return Check(name, Health.UNVERIFIED, says, "set TASKEDIT_MANAGEMENT_URL")
    says = f"what goes to the exchange {dead} goes to its queue"
    async with management(session, settings) as asked:
        bound_to = {dead} if asked is None else await asyncio.to_thread(asked.bound_to, dead)
    if others := sorted(bound_to - {dead}):
        says += f", and to {', '.join(others)}"
    return Check(name, Health.GOOD, says)


def _replicas(number: tuple[int, ...]) -> Check:
    """What several replicas do for each other."""
    if spreads(number):
        return Check("replicas", Health.GOOD, "lanes spread over all replicas by themselves")
    says = (
        "one replica serves all lanes and the others stand by; on RabbitMQ 4.0 to 4.2 lanes spread"
        " over all of them by themselves"
    )
    return Check("replicas", Health.NOTE, says)


def _timeout(number: tuple[int, ...], settings: Settings) -> Check:
    """How long RabbitMQ waits for an ack, which has to be longer than a delivery is held."""
    hold = texts.shown(settings.hold)
    if QUEUES_OWN_TIMEOUT <= number < LOWEST_TIMEOUT:
        says = f"an hour, by each lane's x-consumer-timeout; TASKEDIT_HOLD is {hold}"
        return Check("ack timeout", Health.GOOD, says)
    counts = "before 3.12 the broker's own consumer_timeout counts"
    if number >= LOWEST_TIMEOUT:
        counts = (
            "from 4.3 on the lowest of each lane's x-consumer-timeout (an hour), a policy and the"
            " broker's own consumer_timeout counts"
        )
    says = f"{counts}, and AMQP cannot show it: by default 30m, TASKEDIT_HOLD is {hold}"
    return Check(
        "ack timeout", Health.UNVERIFIED, says, "rabbitmqctl environment | grep consumer_timeout"
    )


def _fix(url: str, why: str) -> str:
    """What to do about an address that cannot be reached, by what it said."""
    parts = urlsplit(url)
    user, host = unquote(parts.username or "guest"), unquote(parts.path[1:]) or "/"
    if "Login was refused" in why or "ACCESS_REFUSED" in why:
        return f"rabbitmqctl authenticate_user {user}, and correct TASKEDIT_AMQP_URL"
    if "vhost" in why and "not found" in why:
        return f"rabbitmqctl add_vhost {host}"
    if "NOT_ALLOWED" in why:
        return f"rabbitmqctl set_permissions -p {host} {user} …, see: taskedit topology export"
    return f"rabbitmqctl status on {parts.hostname}; correct TASKEDIT_AMQP_URL if it is elsewhere"
