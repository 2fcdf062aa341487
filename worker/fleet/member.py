"""This worker as one of a fleet: it heeds what operators want, and says how it is.

It has a connection of its own, so that neither a blocked publisher nor a busy consumer delays a
pause, and nothing that goes wrong here touches an edit.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from random import random
from typing import TYPE_CHECKING
from uuid import uuid4

import structlog
from pydantic_core import to_json

from schemas import read_control_entry
from worker.amqp.session import MARKER, ChannelClosedError, FailureKind, SessionError, connected
from worker.amqp.topology import is_held_otherwise, operators_objects, refused
from worker.core.headers import NO_HEADERS, Headers
from worker.core.message import Properties, Publication
from worker.core.rendezvous import spreads
from worker.fleet.control import Pauses
from worker.fleet.watch import BEAT_EVERY

if TYPE_CHECKING:
    from collections.abc import Callable

    from schemas import ControlEntry, Heartbeat
    from worker.amqp.session import Broker, Session
    from worker.core.message import Delivery
    from worker.fleet.beat import HeartbeatSource

log = structlog.get_logger()

LOOK_EVERY = 0.5
"""Seconds between looks whether something has changed that is worth a heartbeat of its own."""
SHORTEST_WAIT = 0.2
LONGEST_WAIT = 5.0
LOOK_FOR_STREAM_EVERY = 10.0
MARKER_WITHIN = 5.0
"""Seconds for one marker; then it is tried again."""
HEARTBEAT_TYPE = "task-edit.heartbeat.v1"
TAKEN_HEADER = "taskedit-taken"
BY_HEADER = "taskedit-by"
"""Of a marker in the control stream: the queues that a worker takes over, by commas, and which
worker's process that is."""
MARKED_AT_ONCE = 200
"""Queues that one marker names at most, for its header has to fit a frame."""


class FleetMember:
    """Follows the control stream and publishes heartbeats, over as many connections as it takes."""

    def __init__(
        self,
        broker: Broker,
        *,
        declare: bool,
        source: HeartbeatSource,
        changed: Callable[[], None],
    ) -> None:
        """`source` tells how the worker is; `changed` is called when what operators want has."""
        self.trouble: str | None = "not connected yet"
        """Why pauses cannot be heard; None when they can, or nobody can have paused."""
        self.is_missing = False
        """There is no control stream, so nobody can have paused."""
        self.mismatches: tuple[str, ...] = ()
        """What of it RabbitMQ holds with other arguments than ours, in its own words."""
        self.use(broker)
        self._declare = declare
        self._source = source
        self._changed = changed
        self._pauses = Pauses()
        self._instance = str(uuid4())
        self._takers: dict[str, str] = {}
        """Which process took each queue over last, as far as the control stream tells."""
        self._spreads = False
        """Whether RabbitMQ hands queues to consumers of higher priority, which ends no channel."""
        self._session: Session | None = None
        self._markers: dict[str, asyncio.Event] = {}
        self._asking: list[tuple[str, asyncio.Future[None]]] = []
        """Who waits for the next marker: the queue that they take over, or ""."""
        self._marking: asyncio.Task[None] | None = None
        self._is_connected = asyncio.Event()
        self._wants_beat = asyncio.Event()
        self._stopping = asyncio.Event()

    def use(self, broker: Broker) -> None:
        """Connect there from the next connection on: a password has changed, or an address."""
        self._broker = replace(broker, client="task-edit-worker fleet")

    def pause(self, account: str) -> ControlEntry | None:
        """The pause of an account that holds now."""
        return self._pauses.of(account, datetime.now(UTC))

    def heeded(self, account: str) -> str | None:
        """The id of the account's last control entry that was heard."""
        last = self._pauses.last(account)
        return None if last is None else last.id

    def is_anothers(self, queue: str) -> bool:
        """Whether another worker has taken a queue over since this one did."""
        return self._takers.get(queue, self._instance) != self._instance

    def may_be_anothers(self, queue: str) -> bool:
        """The same, or it cannot be told at the moment."""
        deaf = self._spreads and (self.is_missing or self.trouble is not None)
        return deaf or self.is_anothers(queue)

    async def caught_up(self, taking: str = "") -> None:
        """Wait until everything written to the control stream before now is known.

        `taking`: the queue that is taken over, which whoever had it before is told in the stream.
        Returns at once where there is no such stream. Waits as long as it cannot be read.
        """
        told = asyncio.get_running_loop().create_future()
        self._asking.append((taking, told))
        if self._marking is None or self._marking.done():
            self._marking = asyncio.create_task(self._mark())
        await told

    async def _mark(self) -> None:
        """Wait for a marker for all who ask meanwhile: a thousand lanes may be taken at once."""
        while self._asking:
            asking, self._asking = self._asking[:MARKED_AT_ONCE], self._asking[MARKED_AT_ONCE:]
            await self._marked([taking for taking, _ in asking if taking])
            for _, told in asking:
                if not told.done():
                    told.set_result(None)

    async def _marked(self, taking: list[str]) -> None:
        """Return once a marker that names these queues has come, or there is no stream."""
        headers = Headers.of({TAKEN_HEADER: ",".join(taking), BY_HEADER: self._instance})
        while not self.is_missing:
            await self._is_connected.wait()
            session = self._session
            if session is None:
                continue
            marker = str(uuid4())
            seen = self._markers[marker] = asyncio.Event()
            try:
                async with asyncio.timeout(MARKER_WITHIN):
                    await session.mark(
                        self._broker.names.control, marker, headers if taking else NO_HEADERS
                    )
                    await seen.wait()
            except (SessionError, TimeoutError):
                if self.trouble is not None and session.blocked is not None:
                    self.trouble = f"RabbitMQ takes no publications: {session.blocked}"
                await asyncio.sleep(SHORTEST_WAIT)
            else:
                return

    def leave(self) -> None:
        """Say goodbye when `run` is cancelled: this is a clean end."""
        self._stopping.set()

    async def run(self) -> None:
        """Be a member until cancelled."""
        failures, told = 0, ""
        while True:
            try:
                async with connected(self._broker, self._stopping) as session:
                    await self._serve(session)
            except SessionError as error:
                if self.trouble is None:  # it was heard until now
                    failures, told = 0, ""
                self.trouble = f"the control stream cannot be read: {error.failure.why}"
                if told != self.trouble:
                    told = self.trouble
                    log.warning("fleet_unreachable", why=error.failure.why)
            finally:
                self._session = None
                self._is_connected.clear()
                self._markers.clear()
            wait = min(LONGEST_WAIT, SHORTEST_WAIT * 2**failures)
            failures = min(failures + 1, 10)
            await asyncio.sleep(wait * (0.5 + random() / 2))  # noqa: S311 (jitter)

    async def _serve(self, session: Session) -> None:
        if self._declare:
            await self._declared(session)
        self._spreads = spreads(session.version)
        self._session = session
        if self.trouble is not None:
            self.trouble = "the control stream is not read yet"
        self._is_connected.set()
        tasks = {
            asyncio.create_task(self._follow(session)),
            asyncio.create_task(self._say(session)),
        }
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _declared(self, session: Session) -> None:
        """Declare what this takes; what is refused is told, and done without."""
        mismatches: tuple[str, ...] = ()
        for item in operators_objects(self._broker.names):
            try:
                await session.declared((item,))
            except ChannelClosedError as error:
                if error.code is None:
                    raise
                why = refused(item, error.code, error.text, session.virtual_host)
                if is_held_otherwise(error.code, error.text):
                    mismatches += (why,)
                if why not in self.mismatches:
                    log.warning("declaration_refused", why=why)
        self.mismatches = mismatches

    # What operators want

    async def _follow(self, session: Session) -> None:
        while True:
            try:
                async for entry in session.stream(self._broker.names.control, "first", follow=True):
                    self._hear(entry)
            except SessionError as error:
                if error.failure.kind is not FailureKind.NO_STREAM:
                    raise
                self._miss(error.failure.why)
                await asyncio.sleep(LOOK_FOR_STREAM_EVERY)

    def _miss(self, why: str) -> None:
        """Go on without the stream: it was never declared, so nobody can have paused."""
        if not self.is_missing:
            log.warning("control_missing", why=why)
        self.is_missing, self.trouble = True, None
        self._changed()

    def _hear(self, entry: Delivery) -> None:
        self.is_missing, self.trouble = False, None
        properties = entry.properties
        if properties.type == MARKER:
            seen = self._markers.pop(properties.message_id or "", None)
            if seen is not None:
                seen.set()
            taken = properties.headers.text(TAKEN_HEADER)
            if taken is not None:
                by = properties.headers.text(BY_HEADER) or ""
                self._takers |= dict.fromkeys(taken.split(","), by)
                return
        wish = None if properties.type == MARKER else read_control_entry(entry.body)
        if wish is not None and self._pauses.hear(wish):
            self._changed()
        self._wants_beat.set()

    # How this worker is

    async def _say(self, session: Session) -> None:
        """Say how it is: now and then, and at once when something has changed."""
        loop = asyncio.get_running_loop()
        said: object = None
        said_at = 0.0
        channel = await session.channel()
        try:
            while True:
                news = self._source.news()
                due = loop.time() - said_at >= BEAT_EVERY
                if due or self._wants_beat.is_set() or news != said:
                    said, said_at = news, loop.time()
                    self._wants_beat.clear()
                    if self._declare and (self.mismatches or not channel.is_open):
                        await self._declared(session)
                    if not channel.is_open:  # there is no such exchange, or was none a while ago
                        channel = await session.channel()
                    channel.write(self._publication(self._source.beat()))
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wants_beat.wait(), LOOK_EVERY)
        finally:
            if self._stopping.is_set():
                goodbye = self._source.beat().model_copy(update={"ending": True})
                channel.write(self._publication(goodbye))

    def _publication(self, beat: Heartbeat) -> Publication:
        properties = Properties(content_type="application/json", type=HEARTBEAT_TYPE)
        return Publication(self._broker.names.fleet, "", to_json(beat), properties)
