"""The one place that builds everything, and the life of it: up, serving, draining, down."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from time import time
from typing import TYPE_CHECKING
from uuid import uuid4

import structlog

from schemas import Names
from worker.amqp import codec as wire
from worker.amqp.connection import KeptConnection
from worker.amqp.declarer import TopologyDeclarer
from worker.amqp.journal import Journal
from worker.amqp.lease import Lease
from worker.amqp.loop import PikaLoop
from worker.amqp.publisher import ConfirmedPublisher, ReplyPublisher
from worker.amqp.session import Broker, ChannelClosedError
from worker.amqp.tidying import Tidier
from worker.amqp.topology import journal as journal_objects
from worker.amqp.topology import lane_objects, shared_objects
from worker.core.rate_limit import reservation
from worker.core.settlement import Origin
from worker.core.unrouted import ownership
from worker.fleet.beat import HeartbeatSource
from worker.fleet.member import FleetMember
from worker.pipeline.context import LaneContext
from worker.pipeline.former_lanes import FormerLanes
from worker.pipeline.lane import ACK_SETTLES_IN, Lane
from worker.pipeline.poison import CrashLedger
from worker.pipeline.replay import JournalReplay
from worker.pipeline.settler import ConfirmResult, Settler
from worker.pipeline.takeover import QueueService
from worker.pipeline.threads import room_for_callers, shares
from worker.pipeline.unrouted import Strays

if TYPE_CHECKING:
    from asyncio import Task
    from collections.abc import Callable

    from pika.connection import Connection  # noqa: TID251 (its type, never pika itself)

    from worker.account import Account
    from worker.amqp.consumer import Consumer
    from worker.amqp.topology import Object
    from worker.core.tracing import Tracing
    from worker.core.unrouted import Unbinding
    from worker.pipeline.callers import Caller
    from worker.settings import Settings

log = structlog.get_logger()

TICK = 1.0
DRAIN_LOOKS_EVERY = 0.02
CLOSE_WITHIN = 2.0
TIDY_EVERY = 30.0
CHANGES_TAKE = 10.0
"""Seconds after a change of accounts in which a look each second is worth it."""
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
        wire.install()
        self.settings = settings
        self.names = Names(settings.namespace)
        self.loop = PikaLoop()
        self.draining = False
        self.drained = False
        self.reload_failed = False
        """Whether the last reload found settings it could not use."""
        self._caller = caller
        self.version = version
        self._stopping_by: float | None = None
        self.suspects = CrashLedger(settings.state_dir)
        self.lease = Lease(settings.heartbeat, regained=self._lease_regained)
        self.publisher = ConfirmedPublisher(
            self.loop, lease_holds=self.lease.holds, changed=self.pump, vanished=self._vanished
        )
        self.replies = ReplyPublisher()
        self.publishing = self._link("publish", self.publisher.start, self._publisher_down)
        self.consuming = self._link("consume", self._consumer_up, self._consumer_down)
        self.replying = self._link("reply", self.replies.start, self._replies_down)
        self.replies.use(self.replying)
        self.settler = Settler(
            self.loop,
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
        self._with_connection: tuple[Task[None], ...] = ()
        """What is at work on the connection that consumes, and ends with it."""
        self.former = FormerLanes(settings.state_dir)
        self.tidier = Tidier(self.names)
        self.leftover: dict[str, int] = {}
        """Lanes of no account, which nobody consumes: former account to how many edits wait."""
        self._tidy_at = self._changed_at = 0.0
        self._moving_since: dict[str, float] = {}
        self.shared.ownership = ownership(settings.accounts)
        self.member = FleetMember(
            Broker.of(settings, version),
            declare=settings.declare,
            beat=HeartbeatSource(self).beat,
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
        self._membership = self.loop.spawn(self.member.run())
        self._tick()

    def _link(
        self, name: str, up: Callable[[Connection], None], down: Callable[[], None]
    ) -> KeptConnection:
        return KeptConnection(
            self.loop,
            [url.get_secret_value() for url in self.settings.amqp_urls],
            name,
            version=self.version,
            heartbeat=self.settings.heartbeat,
            up=up,
            down=lambda _: down(),
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
        self, desk: Lane | Strays, queue: str, objects: tuple[Object, ...], account: str = ""
    ) -> QueueService:
        def taken() -> list[float] | None:
            return None if self.journal.missing is not None else self.recall.taken(account)

        return QueueService(
            self.loop,
            self.journal,
            desk,
            queue,
            objects,
            passive=not self.settings.declare,
            when_sent=self.consuming.services.when_sent,
            lease_term=self.lease.term,
            taken=taken,
            caught_up=self._caught_up,
        )

    def _consumer_up(self, connection: Connection) -> None:
        self.journal.start(connection)
        self.tidier.start(connection)
        spawn = self.loop.spawn
        self._with_connection = spawn(self.lease.keep(connection)), spawn(self._lay(connection))

    async def _lay(self, connection: Connection) -> None:
        """Declare what all stand on; subscribe once it is known which accounts are paused.

        So again when some of it has vanished.
        """
        with suppress(ChannelClosedError):  # the connection is lost, and its link says so
            while True:
                await self.declarer.declare(connection)
                self.journal.missing = self.declarer.optional_trouble
                await self.member.caught_up()
                self._consume()
                await self.declarer.until_gone(connection)

    def _consume(self) -> None:
        """Subscribe, now that it is known which accounts are paused."""
        connection = self.consuming.connection
        self._heed()
        if connection is not None and self.declarer.trouble is None and not self.draining:
            self._note_bindings()
            for service in self.services.values():
                service.consumer.refresh(connection)

    def _vanished(self, why: str) -> None:
        """Something of ours is gone from RabbitMQ while we run."""
        self.declarer.vanished(why)

    def _consumer_down(self) -> None:
        for task in self._with_connection:
            task.cancel()
        self.journal.connection_lost()
        self.tidier.connection_lost()
        for service in self.services.values():
            service.consumer.connection_lost()
        self.publisher.drop_unwanted()

    def _publisher_down(self) -> None:
        self.publisher.connection_lost()

    def _replies_down(self) -> None:
        self.replies.connection_lost()

    # Serving

    def _longest_window(self) -> float:
        """Seconds of the longest limit of any account that counts calls of the past."""
        longer = (rate.seconds for one in self.settings.accounts for rate in one.rates[1:])
        return max(longer, default=0.0)

    def _reserve(
        self,
        account: str,
        calls: int,
        wanted: Callable[[], bool],
        done: Callable[[ConfirmResult], None],
    ) -> None:
        """Set slots down in the journal; where there is none, nobody could read of them."""
        if self.journal.missing is not None:
            done(ConfirmResult.CONFIRMED)
            return
        number = str(uuid4())
        message = reservation(self.names.journal, account, calls, int(time()), number)

        def sure(fate: ConfirmResult) -> None:
            if fate is ConfirmResult.UNROUTABLE:
                self._vanished(f"there is no queue {self.names.journal}")
            done(fate)

        self.publisher.publish(message, wanted, sure)

    def pump(self) -> None:
        """Have every lane look whether it may go on: something it may have waited for changed."""
        for service in self.services.values():
            service.desk.pump()

    def _lease_regained(self) -> None:
        self.publisher.lease_regained()
        self.pump()

    def _may_publish(self) -> bool:
        return self.publisher.is_open and self.publishing.blocked is None

    def _caught_up(self, done: Callable[[], None]) -> None:
        """Call back once all that operators have written down before now is known."""

        async def wait() -> None:
            await self.member.caught_up()
            done()

        _ = self.loop.spawn(wait())

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

    def _tick(self) -> None:
        self._heed()  # a pause may have ended by itself
        for service in self.services.values():
            service.desk.tick()
        self._settle_moves()
        if self.loop.now() >= self._tidy_at:
            self._tidy()
        self.loop.call_later(TICK, self._tick)

    # What is not ours any more

    def _note_bindings(self) -> None:
        owned = self.shared.ownership
        self.former.note({name: owned.bound(name) for name in owned.keys})
        self._tidy_at = self.loop.now()
        self._changed_at = self._tidy_at

    def _tidy(self) -> None:
        """Unbind lanes from what another one is bound by already; look for lanes left over."""
        if not self._may_tidy():
            return
        owned = self.shared.ownership
        bound = {name for name in owned.keys if self._consumer(name).declared}
        todo = owned.unbindings(self.former.keys)
        todo.sort(key=lambda one: one.lane not in owned.keys)  # those may be refused to us
        now = [one for one in todo if one.after <= bound]
        self.tidier.unbind(now, self._unbound)
        for name in set(self.former.keys) - owned.keys.keys():
            self.tidier.count(name, partial(self._counted, name))
        busy = len(now) < len(todo) or self.loop.now() - self._changed_at < CHANGES_TAKE
        self._tidy_at = self.loop.now() + (TICK if busy else TIDY_EVERY)

    def _may_tidy(self) -> bool:
        usable = self.consuming.connection is not None and self.declarer.trouble is None
        return usable and self.settings.declare and not self.draining

    def _unbound(self, one: Unbinding) -> None:
        log.info("lane_unbound", queue=self.names.lane(one.lane), key=one.key)
        self.former.unbound(one.lane, one.key)

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

    def _settle_moves(self) -> None:
        """Bind the new lanes of apps that moved, once nothing of theirs is in the old ones."""
        for app, source in self.shared.ownership.moving.items():
            lane = self.lanes[source]
            since = self._moving_since.setdefault(app, self.loop.now())
            if self.loop.now() - since >= MOVES_WITHIN:
                self._arrived(app)
            elif not lane.holds(app):
                self.tidier.count(source, partial(self._source_counted, app))

    def _source_counted(self, app: str, edits: int | None, _: int) -> None:
        source = self.shared.ownership.moving.get(app)
        if source is not None and not edits and not self.lanes[source].holds(app):
            self._arrived(app)

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
                consumer.objects, consumer.declared = objects, False
                if self.consuming.connection is not None and self.declarer.trouble is None:
                    consumer.refresh(self.consuming.connection)

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

        def look() -> None:
            if lane.is_quiet:
                after = ACK_SETTLES_IN
                self.loop.call_later(after, lambda: service.consumer.end(lane.stop))
            else:
                self.loop.call_later(DRAIN_LOOKS_EVERY, look)

        look()

    # Down

    def drain(self) -> None:
        """Start no more calls, settle those in flight, give the rest back in order, and stop."""
        if self.draining:
            return
        self.draining = True
        self._stopping_by = self.loop.now() + self.settings.shutdown_grace.total_seconds()
        self.member.leave()
        log.info("draining", in_flight=sum(lane.in_flight for lane in self.lanes.values()))
        for service in self.services.values():
            service.desk.drain()
        self._look_whether_quiet()

    def _look_whether_quiet(self) -> None:
        quiet = all(service.desk.is_quiet for service in self.services.values())
        if quiet or self._stopping_by is None or self.loop.now() >= self._stopping_by:
            self.drained = quiet
            self.loop.call_later(ACK_SETTLES_IN, self._close)
        else:
            self.loop.call_later(DRAIN_LOOKS_EVERY, self._look_whether_quiet)

    def _close(self) -> None:
        """Channels first, without a cancel; then the connections; then the loop."""
        self._membership.cancel()
        self.loop.call_later(CLOSE_WITHIN, self.loop.stop)
        waiting = len(self.services)

        def ended() -> None:
            nonlocal waiting
            waiting -= 1
            if waiting == 0:
                self._close_links()

        for service in self.services.values():
            service.consumer.end(ended)

    def _close_links(self) -> None:
        links = [self.consuming, self.publishing, self.replying]
        waiting = len(links)

        def ended() -> None:
            nonlocal waiting
            waiting -= 1
            if waiting == 0:
                self.loop.stop()

        for link in links:
            link.close(ended)

    def closed(self) -> None:
        """Leave nothing behind; after the loop has ended, on any thread."""
        self.suspects.close()
