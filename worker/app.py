"""The one place that builds everything, and the life of it: up, serving, draining, down."""

from __future__ import annotations

from asyncio import TaskGroup, gather, sleep, timeout
from contextlib import suppress
from time import time
from typing import TYPE_CHECKING
from uuid import uuid4

import structlog

from schemas import Names
from worker.amqp import codec
from worker.amqp.connection import KeptConnection
from worker.amqp.declarer import TopologyDeclarer
from worker.amqp.journal import Journal
from worker.amqp.lease import Lease
from worker.amqp.publisher import ConfirmedPublisher, ReplyPublisher
from worker.amqp.session import Broker, ChannelClosedError
from worker.amqp.tidying import counts, unbind
from worker.amqp.topology import Binding, journal_objects, lane_objects, shared_objects
from worker.core.message import ConfirmResult
from worker.core.rate_limit import reservation
from worker.core.rendezvous import priority
from worker.core.settlement import Origin
from worker.core.unrouted import ownership
from worker.fleet.beat import HeartbeatSource
from worker.fleet.member import FleetMember
from worker.loop import Loop
from worker.pipeline.context import LaneContext
from worker.pipeline.former_lanes import FormerLanes
from worker.pipeline.lane import ACK_SETTLES_IN, Lane
from worker.pipeline.poison import CrashLedger
from worker.pipeline.replay import JournalReplay
from worker.pipeline.settler import Settler
from worker.pipeline.takeover import QueueService
from worker.pipeline.threads import room_for_callers, shares
from worker.pipeline.unrouted import Strays

if TYPE_CHECKING:
    from asyncio import Task
    from collections.abc import Callable, Coroutine

    from pika.connection import Connection  # noqa: TID251 (its type, never pika itself)

    from worker.account import Account
    from worker.amqp.consumer import Consumer
    from worker.amqp.topology import Object
    from worker.core.tracing import Tracing
    from worker.pipeline.callers import Caller
    from worker.settings import Settings

log = structlog.get_logger()

TICK = 1.0
DRAIN_LOOKS_EVERY = 0.02
CLOSE_WITHIN = 2.0
TIDY_EVERY = 30.0
CHANGES_TAKE = 10.0
"""Seconds after a change of accounts in which a look each second is worth it."""
JOURNAL_WITHIN = 10.0
"""Seconds that a reading of the journal may hold up the end of an app's move."""
MOVES_WITHIN = 60.0
"""Seconds that an app goes on through its former lane at most, while that is not empty."""


class Worker:
    """Serves every account's lane until told to drain. All of it lives on the loop's thread."""

    def __init__(
        self,
        settings: Settings,
        version: str,
        caller: Callable[[Account], Caller],
        tracing: Tracing | None = None,
    ) -> None:
        """Build everything; nothing is connected before `start`.

        `caller` gives the API client of an account. Raises `OSError` when the machine gives no
        descriptors for the loop.
        """
        codec.install()
        self.settings = settings
        self.names = Names(settings.namespace)
        self.loop = Loop()
        self.draining = False
        self.drained = False
        self.reload_failed = False
        """Whether the last reload found settings it could not use."""
        self._caller = caller
        self.version = version
        self.suspects = CrashLedger(settings.state_dir)
        self.lease = Lease(settings.heartbeat, regained=self._lease_regained)
        self.publisher = ConfirmedPublisher(
            self.loop, lease_holds=self.lease.holds, changed=self.pump, vanished=self._vanished
        )
        self.replies = ReplyPublisher()
        self.publishing = self._link("publish", self.publisher.serve)
        self.consuming = self._link("consume", self._consume)
        self.replying = self._link("reply", self.replies.serve)
        self.replies.use(self.replying)
        self.settler = Settler(
            self.publisher,
            self.replies,
            self.names.journal,
            lambda: self.journal.missing is not None,
            self._vanished,
        )
        self.shared = LaneContext(
            self.loop,
            self.settler,
            self.suspects,
            Origin(self.names, version),
            self.lease.holds,
            self._may_publish,
            tracing=tracing,
        )
        self.shared.reserve = self._reserve
        self.recall = JournalReplay(self.shared.memory, self.loop.now)
        self.journal = Journal(
            self.loop,
            self.publisher,
            self.names.journal,
            self.recall.hear,
            blocked=lambda: self.publishing.blocked is not None,
            longest=self._longest_window,
            vanished=self._vanished,
        )
        self.declarer = TopologyDeclarer(
            shared_objects(self.names),
            journal_objects(self.names),
            passive=not settings.declare,
        )
        self._consumers: TaskGroup | None = None
        """Of the connection that consumes; None while nothing may be consumed."""
        self.former = FormerLanes(settings.state_dir)
        self.leftover: dict[str, int] = {}
        """Lanes of no account, which nobody consumes: former account to how many edits wait."""
        self._tidy_at = self._changed_at = 0.0
        self._moving_since: dict[str, float] = {}
        self.shared.ownership = ownership(settings.accounts)
        self._membership: Task[None] | None = None
        self.member = FleetMember(
            Broker.of(settings, version),
            declare=settings.declare,
            source=HeartbeatSource(self),
            changed=self._heed,
        )
        self.strays = Strays(self.shared)
        self.lanes: dict[str, Lane] = {}
        self.services: dict[str, QueueService] = {
            self.names.strays: self._service(self.strays, self.names.strays, ())
        }
        self.recall.watch(settings.accounts)
        for account in settings.accounts:
            self._add_lane(account)
        self._share_threads()

    # Up

    def start(self) -> None:
        """Connect; on the loop's thread, or before it runs."""
        self.consuming.open()
        self.publishing.open()
        self._membership = self.loop.task(self.member.run())
        self._tick()

    def _link(
        self, name: str, serve: Callable[[Connection], Coroutine[None, None, None]]
    ) -> KeptConnection:
        return KeptConnection(
            self.loop,
            [url.get_secret_value() for url in self.settings.amqp_urls],
            name,
            version=self.version,
            heartbeat=self.settings.heartbeat,
            serve=serve,
            changed=self.pump,
        )

    def _add_lane(self, account: Account) -> None:
        lane = Lane(
            account,
            self._caller(account),
            self.shared,
            hold=self.settings.hold.total_seconds(),
        )
        queue = self.names.lane(account.name)
        self.lanes[account.name] = lane
        self.services[queue] = self._service(lane, queue, self._objects(account), account.name)

    def _share_threads(self) -> None:
        """Divide the threads that the process may have among the lanes; say so if they are few."""
        room = room_for_callers()
        wanted = {name: lane.account.concurrency for name, lane in self.lanes.items()}
        given = shares(room, wanted)
        for name, lane in self.lanes.items():
            lane.threads = given[name]
        if given != wanted:
            log.warning("threads_limited", wanted=sum(wanted.values()), room=room)

    def _objects(self, account: Account) -> tuple[Object, ...]:
        bound = self.shared.ownership.bound(account.name)
        return lane_objects(self.names, account.name, bound)

    def _service(
        self, handler: Lane | Strays, queue: str, objects: tuple[Object, ...], account: str = ""
    ) -> QueueService:
        def taken() -> list[float] | None:
            return None if self.journal.missing is not None else self.recall.taken(account)

        return QueueService(
            self.loop,
            self.journal,
            handler,
            queue,
            objects,
            passive=not self.settings.declare,
            when_sent=self.consuming.services.when_sent,
            lease_term=self.lease.term,
            taken=taken,
            takings=self.member,
            priority=priority(self.settings.replica, queue),
        )

    async def _consume(self, connection: Connection) -> None:
        """Serve on the connection that consumes: all here ends with it."""
        self.journal.start(connection)
        try:
            async with TaskGroup() as tasks:
                tasks.create_task(self.lease.keep(connection))
                await self._declare_and_consume(connection, tasks)
        except* ChannelClosedError:
            if connection.is_open:  # else it is lost, and its link says so
                log.exception("serving_ended")
                connection.close()
        finally:
            self._consumers = None
            self.journal.connection_lost()
            self.publisher.drop_unwanted()

    async def _declare_and_consume(self, connection: Connection, tasks: TaskGroup) -> None:
        """Declare what all stand on; subscribe once it is known which accounts are paused.

        So again when some of it has vanished.
        """
        while True:
            await self.declarer.declare(connection)
            self.journal.missing = self.declarer.optional_trouble
            await self.member.caught_up()
            self._heed()
            if not self.draining:
                self._note_bindings()
                self._consume_all(connection, tasks)
            await self.declarer.until_gone(connection)

    def _consume_all(self, connection: Connection, tasks: TaskGroup) -> None:
        """Consume every queue; those that are consumed already are only declared anew."""
        if self._consumers is not None:
            for service in self.services.values():
                service.consumer.refresh()
            return
        self._consumers = tasks
        tasks.create_task(self._keep_tidy(connection))
        for service in self.services.values():
            tasks.create_task(service.consumer.run(connection))

    def _consume_too(self, account: str) -> None:
        """Consume the lane of an account that was added, if the others are consumed."""
        connection = self.consuming.connection
        if self._consumers is not None and connection is not None:
            consumer = self._consumer(account)
            self._consumers.create_task(consumer.run(connection))

    def _vanished(self, why: str) -> None:
        """Something of ours is gone from RabbitMQ while we run."""
        self.declarer.vanished(why)

    # Serving

    def _longest_window(self) -> float:
        """Seconds of the longest limit of any account that counts calls of the past."""
        longer = (rate.seconds for one in self.settings.accounts for rate in one.rates[1:])
        return max(longer, default=0.0)

    async def _reserve(self, account: str, calls: int, wanted: Callable[[], bool]) -> ConfirmResult:
        """Set slots down in the journal; where there is none, nobody could read of them."""
        if self.journal.missing is not None:
            return ConfirmResult.CONFIRMED
        number = str(uuid4())
        message = reservation(self.names.journal, account, calls, int(time()), number)
        said = await self.publisher.publish(message, wanted)
        if said is ConfirmResult.UNROUTABLE:
            self._vanished(f"there is no queue {self.names.journal}")
        return said

    def pump(self) -> None:
        """Have every lane look whether it may go on: something it may have waited for changed."""
        for service in self.services.values():
            service.handler.pump()

    def _lease_regained(self) -> None:
        self.publisher.lease_regained()
        self.pump()

    def _may_publish(self) -> bool:
        return self.publisher.is_open and self.publishing.blocked is None

    def _heed(self) -> None:
        """Have every lane do what operators want of it now."""
        if not self.draining:
            for name in self.lanes:
                self.services[self.names.lane(name)].pause(self.member.pause(name))

    def heeded(self, account: str) -> str | None:
        """The id of the last control entry that the account's lane obeys."""
        return self.member.heeded(account)

    def serves(self, account: str) -> bool:
        """Whether the account's edits come to this worker, and not to another."""
        return self.services[self.names.lane(account)].is_active

    def priority(self, account: str) -> int:
        """The priority of this replica for the account's lane: the highest serves it."""
        return self.services[self.names.lane(account)].priority

    def _tick(self) -> None:
        self._heed()  # a pause may have ended by itself
        for service in self.services.values():
            service.tick()
        self.loop.call_later(TICK, self._tick)

    # What is not ours any more

    def _note_bindings(self) -> None:
        owned = self.shared.ownership
        self.former.note({name: owned.bound(name) for name in owned.keys})
        self._tidy_at = self.loop.now()
        self._changed_at = self._tidy_at

    async def _keep_tidy(self, connection: Connection) -> None:
        """Settle what is not ours any more, for as long as the connection lasts."""
        while True:
            await sleep(TICK)
            try:
                await self._settle_moves(connection)
                if self.loop.now() >= self._tidy_at:
                    await self._tidy(connection)
            except ChannelClosedError as closed:
                log.debug("not_tidied", why=closed.text)

    async def _tidy(self, connection: Connection) -> None:
        """Unbind lanes from what another one is bound by already; look for lanes left over."""
        if not self._may_tidy():
            return
        owned = self.shared.ownership
        bound = {name for name in owned.keys if self._consumer(name).declared}
        todo = owned.unbindings(self.former.keys)
        todo.sort(key=lambda one: one.lane not in owned.keys)  # those may be refused to us
        now = [one for one in todo if one.after <= bound]
        busy = len(now) < len(todo) or self.loop.now() - self._changed_at < CHANGES_TAKE
        self._tidy_at = self.loop.now() + (TICK if busy else TIDY_EVERY)
        for name in self.leftover.keys() & owned.keys.keys():
            del self.leftover[name]  # an account owns it again
        for name in set(self.former.keys) - owned.keys.keys():
            self._counted(name, *await counts(connection, self.names.lane(name)))
        for one in now:
            queue = self.names.lane(one.lane)
            await unbind(connection, Binding(self.names.exchange, queue, one.key))
            if self.former.unbound(one.lane, one.key):
                log.info("lane_unbound", queue=queue, key=one.key)

    def _may_tidy(self) -> bool:
        return self.declarer.trouble is None and self.settings.declare and not self.draining

    def _counted(self, name: str, edits: int | None, consumers: int) -> None:
        known = self.leftover.pop(name, None)
        if edits is None:
            self.former.forget(name)
        elif not consumers and name not in self.lanes:
            self.leftover[name] = edits
            if known is None:
                log.warning("lane_left_over", queue=self.names.lane(name), edits=edits)

    def _consumer(self, account: str) -> Consumer:
        return self.services[self.names.lane(account)].consumer

    async def _settle_moves(self, connection: Connection) -> None:
        """Bind the new lanes of apps that moved, once nothing of theirs is in the old ones."""
        for app, source in list(self.shared.ownership.moving.items()):
            if source not in self.lanes:
                continue  # retired meanwhile
            since = self._moving_since.setdefault(app, self.loop.now())
            overdue = self.loop.now() - since >= MOVES_WITHIN
            if not overdue and not self._holds(source, app):
                edits, _ = await counts(connection, self.names.lane(source))
                moving = self.shared.ownership.moving.get(app) == source
                overdue = moving and not edits and not self._holds(source, app)
            if overdue:
                with suppress(TimeoutError):  # for what another replica has settled of it
                    async with timeout(JOURNAL_WITHIN):
                        await self.journal.read()
            if overdue and self.shared.ownership.moving.get(app) == source:
                self._arrived(app)

    def _holds(self, account: str, app: str) -> bool:
        """Whether a lane has an edit of an app, or may have: it has not read all it was given."""
        unread = self.services[self.names.lane(account)].has_unread
        return unread or self.lanes[account].holds(app)

    def _arrived(self, app: str) -> None:
        self._moving_since.pop(app, None)
        self.shared.ownership = self.shared.ownership.arrived(app)
        log.info("app_moved", app_id=app, account=self.shared.ownership.owner(app))
        self._declare_lanes()

    def _declare_lanes(self) -> None:
        """Bind the lanes by what is theirs now; those that are bound so already are left alone."""
        self._note_bindings()
        for account in self.settings.accounts:
            consumer, objects = self._consumer(account.name), self._objects(account)
            if consumer.objects != objects or not consumer.declared:
                consumer.objects = objects
                consumer.refresh()

    def adopt(self, settings: Settings) -> None:
        """Take on accounts and RabbitMQ's addresses; what else has changed needs a restart."""
        self.settings, changed, needs_restart = self.settings.adopting(settings)
        self.reload_failed = False
        for link in (self.consuming, self.publishing, self.replying):
            link.use([url.get_secret_value() for url in settings.amqp_urls])
        self.member.use(Broker.of(self.settings, self.version))
        self.recall.watch(settings.accounts)
        self.shared.ownership = ownership(settings.accounts, self.shared.ownership)
        moving = self.shared.ownership.moving
        self._moving_since = {app: at for app, at in self._moving_since.items() if app in moving}
        wanted = {account.name: account for account in settings.accounts}
        for name in [name for name in self.lanes if name not in wanted]:
            self._retire(name)
        for account in settings.accounts:
            lane = self.lanes.get(account.name)
            if lane is None:
                self._add_lane(account)
                self._consume_too(account.name)
            elif lane.account != account:
                lane.adopt(account, self._caller(account), self.recall.taken(account.name) or ())
        self._heed()
        self._declare_lanes()
        self._share_threads()
        log.info("settings_adopted", accounts=len(wanted), changed=sorted(set(changed)))
        if needs_restart:
            log.warning("restart_needed", settings=needs_restart)

    def _retire(self, name: str) -> None:
        """Serve an account no longer: settle what is in flight, give the rest back."""
        lane, queue = self.lanes.pop(name), self.names.lane(name)
        service = self.services.pop(queue)
        lane.drain()
        self.loop.spawn(self._end_service(lane, service))

    async def _end_service(self, lane: Lane, service: QueueService) -> None:
        while not lane.is_quiet:  # noqa: ASYNC110 (a lane falls quiet in many ways)
            await sleep(DRAIN_LOOKS_EVERY)
        await sleep(ACK_SETTLES_IN)
        await service.consumer.end()
        lane.stop()

    # Down

    def drain(self) -> None:
        """Start no more calls, settle those in flight, give the rest back in order, and stop."""
        if self.draining:
            return
        self.draining = True
        self.member.leave()
        log.info("draining", in_flight=sum(lane.in_flight for lane in self.lanes.values()))
        for service in self.services.values():
            service.handler.drain()
        self.loop.spawn(self._end())

    async def _end(self) -> None:
        """Once all is quiet: channels first, without a cancel; then the connections; the loop."""
        by = self.loop.now() + self.settings.shutdown_grace.total_seconds()
        while not self._is_quiet() and self.loop.now() < by:  # noqa: ASYNC110 (as above)
            await sleep(DRAIN_LOOKS_EVERY)
        self.drained = self._is_quiet()
        await sleep(ACK_SETTLES_IN)
        self.loop.call_later(CLOSE_WITHIN, self.loop.stop)
        if self._membership is not None:
            self._membership.cancel()
        await gather(*(service.consumer.end() for service in self.services.values()))
        await gather(*(link.close() for link in (self.consuming, self.publishing, self.replying)))
        self.loop.stop()

    def _is_quiet(self) -> bool:
        return all(service.handler.is_quiet for service in self.services.values())

    def closed(self) -> None:
        """Leave nothing behind; after the loop has ended, on any thread."""
        self.suspects.close()
