"""The console's data on a real RabbitMQ: a namespace declared, letters put, heartbeats sent."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pydantic_core import to_json

from schemas import Heartbeat, LaneBeat, Names
from worker.amqp.session import Broker, connected
from worker.amqp.topology import Queue, journal_objects, operators_objects, shared_objects
from worker.console.data import Console
from worker.core.message import PERSISTENT, Properties, Publication
from worker.fleet.operations import begun, recorded
from worker.settings import Settings, load

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from tests.unit.deadletters.dead import Ended
    from worker.amqp.session import Session
    from worker.console.model import Part, Plan


def broker_at(amqp_url: str, namespace: str) -> Broker:
    return Broker((amqp_url,), timedelta(seconds=5), Names(namespace), "test")


@dataclass(frozen=True)
class Stage:
    """A RabbitMQ whose objects are declared, a console on it, and what tests do beside it."""

    session: Session
    console: Console
    accounts: dict[str, LaneBeat] = field(default_factory=dict)

    async def die(self, each: Iterable[Ended], *, told: bool = True) -> None:
        """Put letters into the queue, in order, and tell of each by its event."""
        names = self.session.names
        channel = await self.session.publisher()
        confirms = []
        for one in each:
            letter = Publication(names.dead, "LILIN888", one.dead.body, one.dead.properties)
            confirms.append(channel.publish_soon(letter))
            if told:
                confirms.append(channel.publish_soon(self.event(one)))
        await asyncio.gather(*confirms)

    async def discarded(self, *each: Ended) -> None:
        """Record that they were thrown away; their letters are left to the test."""
        ids = tuple(one.letter.event_id for one in each)
        begin = begun("discard", what={}, count=len(ids), ids=ids)
        async with recorded(self.session, begin) as operation:
            operation.result["discarded"] = len(ids)

    def event(self, one: Ended) -> Publication:
        properties = Properties(delivery_mode=PERSISTENT, message_id=one.letter.event_id)
        return Publication(self.session.names.events, "rejected.LILIN888", one.event, properties)

    def serves(self, **accounts: LaneBeat) -> None:
        """A worker serves these accounts, and beats from now on."""
        self.accounts.clear()
        self.accounts.update(accounts)

    async def beats(self, replica: str, **accounts: LaneBeat) -> None:
        """One heartbeat of a worker."""
        beat = Heartbeat(
            replica=replica, version="1.2.3", at=datetime.now(UTC), ready=True, accounts=accounts
        )
        fleet = self.session.names.fleet
        await self.session.publish(Publication(fleet, "", to_json(beat), Properties()))

    async def beat(self) -> None:
        """A heartbeat now and then, while a worker serves anything."""
        while True:
            if self.accounts:
                await self.beats("w-1", **self.accounts)
            await asyncio.sleep(0.2)

    async def lane(self, account: str = "acme") -> None:
        """A queue as an account's lane."""
        arguments = {"x-queue-type": "quorum"}
        await self.session.declared((Queue(self.session.names.lane(account), arguments),))


def lane(state: str = "running", **changes: object) -> LaneBeat:
    good = LaneBeat(serving=True, state=state, rate_allowed="10/s", rate_used=9.5)
    return good.model_copy(update=changes)


async def until(condition: Callable[[], object], within: float = 20.0) -> None:
    """Wait until something is so; fails after `within` seconds."""
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 (any condition, of another process too)
            await asyncio.sleep(0.02)


async def told_of(part: Part, console: Console) -> None:
    """Wait until pages are told that a part has changed."""
    async for parts in console.changes():
        if part in parts:
            return


async def prepared(console: Console, plan: Plan) -> Plan:
    """The plan once it is no longer being prepared."""
    found: Plan | None = plan
    async with asyncio.timeout(60):
        while found and found.state == "preparing":
            await asyncio.sleep(0.02)
            found = await console.plan_of(plan.id)
    assert found is not None
    return found


def settings() -> Settings:
    found = load({}, accounts_wanted=False, secrets_wanted=False)
    assert isinstance(found, Settings)
    return found


async def declared(session: Session) -> None:
    names = session.names
    objects = (*shared_objects(names), *journal_objects(names), *operators_objects(names))
    await session.declared(objects)


@asynccontextmanager
async def stage(rabbitmq: Broker) -> AsyncIterator[Stage]:
    async with connected(rabbitmq, asyncio.Event()) as session:
        await declared(session)
        async with Console(rabbitmq, settings()) as console:
            await until(lambda: console.picture().broker.is_up)
            on = Stage(session, console)
            beating = asyncio.create_task(on.beat())
            yield on
            beating.cancel()
