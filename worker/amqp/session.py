"""Channels whose answers are awaited, and a command's whole connection to RabbitMQ (`Session`).

What RabbitMQ refuses, and a lost connection, are raised where they are waited for.
"""

from __future__ import annotations

import asyncio
import signal
from collections import Counter, deque
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from pika.exceptions import AMQPError, ChannelWrongStateError, NoFreeChannels
from pika.spec import Basic

from schemas import Names
from worker.amqp import codec, frames
from worker.amqp.connection import (
    TROUBLE,
    UnreachableError,
    connect,
    parameters,
    reason,
    shown,
)
from worker.amqp.topology import Binding, Exchange, Queue
from worker.amqp.transport import GuardedServices
from worker.core.headers import NO_HEADERS, Headers
from worker.core.message import PERSISTENT, ConfirmResult, Properties, Publication
from worker.core.rate_limit import SLOTS_TYPE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
    from datetime import timedelta

    from pika.adapters.asyncio_connection import AsyncioConnection
    from pika.channel import Channel as PikaChannel
    from pika.connection import Connection
    from pika.frame import Method
    from pika.spec import BasicProperties

    from worker.amqp.topology import Object
    from worker.core.message import Delivery
    from worker.settings import Settings

    Offset = str | int | datetime
    """Where to begin in a stream: ``first``, ``next``, a number, or the broker's time."""

_Same = tuple[str, str, str | None, bytes]
"""Exchange, routing key, message id and body: what RabbitMQ returns a publication with."""
Result = TypeVar("Result")

CLOSE_WITHIN = 1.0
NOT_FOUND, ACCESS_REFUSED, LOCKED = 404, 403, 405
STREAM_PREFETCH = 5000
ACK_EVERY = 1000
QUIET = 3.0
"""Seconds without an entry that mean the end of a stream, for whom may not publish a marker."""
OFFSET = "x-stream-offset"
MARKER = "task-edit.marker"
"""The type of a message that says how far a reader wanted to read; every reader skips it."""


@dataclass(frozen=True, slots=True)
class Broker:
    """Where RabbitMQ is, and what our objects in it are called."""

    urls: tuple[str, ...]
    heartbeat: timedelta
    names: Names
    version: str
    client: str = "taskedit"
    """What RabbitMQ's management shows the connection as."""

    @classmethod
    def of(cls, settings: Settings, version: str) -> Broker:
        """The broker that the settings name."""
        urls = tuple(url.get_secret_value() for url in settings.amqp_urls)
        return cls(urls, settings.heartbeat, Names(settings.namespace), version)


class FailureKind(Enum):
    """What kept a command from its work."""

    ABSENT = "absent"
    """RabbitMQ, or a queue in it, is not there (any more)."""
    NO_STREAM = "no stream"
    """There is no stream to read."""
    BUSY = "busy"
    """Another command of the kind is at it."""
    STOPPED = "stopped"
    """By Ctrl-C or SIGTERM."""
    REFUSED = "refused"
    """RabbitMQ would not do it: a permission is missing, most likely."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a session ended before its work was done."""

    kind: FailureKind
    why: str
    """The rest of a sentence, for people."""


class SessionError(Exception):
    """Ends a session: nothing more can be done in it."""

    def __init__(self, kind: FailureKind, why: str) -> None:
        super().__init__(why)
        self.failure = Failure(kind, why)


class ChannelClosedError(SessionError):
    """RabbitMQ closed the channel, for what was asked on it."""

    def __init__(self, code: int | None, text: str) -> None:
        kind = FailureKind.ABSENT if code in {None, NOT_FOUND} else FailureKind.REFUSED
        said = "lost the connection" if code is None else "RabbitMQ says"
        super().__init__(kind, f"{said}: {text}")
        self.text = text
        """What RabbitMQ, or pika, says."""
        self.code = code
        """The reply code of AMQP 0-9-1, such as 404; None when the connection was lost."""


class NoChannelLeftError(ChannelClosedError):
    """The connection has no channel left: RabbitMQ allows so many (``channel_max``)."""


def run(
    broker: Broker, work: Callable[[Session], Awaitable[Result]], *, graceful: bool = False
) -> Result | Failure:
    """Connect, await `work`, leave; what it gave, or why it did not come to its end.

    Ctrl-C and SIGTERM end it at once, as `FailureKind.STOPPED`; with `graceful` the first only
    sets `Session.stopping`, and `work` ends by itself.
    """
    return asyncio.run(_run(broker, work, graceful=graceful))


async def _run(
    broker: Broker, work: Callable[[Session], Awaitable[Result]], *, graceful: bool
) -> Result | Failure:
    stopping = asyncio.Event()
    current = asyncio.current_task()
    assert current is not None  # noqa: S101 (told to the type checker, not to users)

    def interrupt() -> None:
        if graceful and not stopping.is_set():
            stopping.set()
        else:
            stopping.set()
            current.cancel()

    with _signals(interrupt):
        try:
            async with connected(broker, stopping) as session:
                return await work(session)
        except SessionError as error:
            return error.failure
        except asyncio.CancelledError:
            return Failure(FailureKind.STOPPED, "stopped")


@contextmanager
def _signals(interrupt: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


@asynccontextmanager
async def task_group() -> AsyncIterator[asyncio.TaskGroup]:
    """A task group that raises the first error of its tasks as it is, not in an `ExceptionGroup`.

    So a lost connection is a `SessionError`, whichever task saw it first.
    """
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None


@asynccontextmanager
async def connected(broker: Broker, stopping: asyncio.Event) -> AsyncIterator[Session]:
    """A session at the first address that can be reached; raises `SessionError` at the last."""
    codec.install()
    session = Session(broker, *await _reached(broker), stopping)
    try:
        yield session
    finally:
        await session.close()


async def _reached(broker: Broker) -> tuple[AsyncioConnection, str]:
    *others, last = broker.urls
    for url in others:
        with suppress(SessionError):
            return await _opened(broker, url), url
    return await _opened(broker, last), last


async def _opened(broker: Broker, url: str) -> AsyncioConnection:
    services = GuardedServices(asyncio.get_running_loop())
    try:
        to = parameters(url, name=broker.client, version=broker.version, heartbeat=broker.heartbeat)
        connection, _ = await connect(services, to)
    except (UnreachableError, *TROUBLE) as error:
        raise _unreachable(url, error) from error
    return connection


def _unreachable(url: str, error: BaseException) -> SessionError:
    return SessionError(FailureKind.ABSENT, f"cannot connect to {shown(url)}: {reason(error)}")


async def channel_of(connection: Connection) -> Channel:
    """A fresh channel of a connection. Raises `ChannelClosedError`.

    That is a `NoChannelLeftError` when the connection has no more of them.
    """
    opened: asyncio.Future[Channel] = asyncio.get_running_loop().create_future()

    def ready(channel: PikaChannel) -> None:
        if not opened.done():
            opened.set_result(Channel(channel))
        elif channel.is_open:
            channel.close()  # whoever wanted it waits no more

    def lost(_: object, error: BaseException) -> None:
        if not opened.done():
            opened.set_exception(ChannelClosedError(None, reason(error)))

    try:
        channel = connection.channel(on_open_callback=ready)
    except NoFreeChannels as error:
        raise NoChannelLeftError(None, reason(error)) from error
    except AMQPError as error:  # the connection is closed
        raise ChannelClosedError(None, reason(error)) from error
    channel.add_on_close_callback(lost)
    return await opened


def version_of(connection: object) -> tuple[int, ...]:
    """The version of the RabbitMQ that pika is connected to; empty if it does not say."""
    said = str((getattr(connection, "server_properties", None) or {}).get("version", ""))
    return tuple(int(part) for part in said.split(".") if part.isdecimal())


class Channel:
    """A channel whose answers are awaited; raises `ChannelClosedError` when it is closed."""

    def __init__(self, channel: PikaChannel) -> None:
        self.pika = channel
        self.closed: asyncio.Future[ChannelClosedError] = asyncio.get_running_loop().create_future()
        """Done when the channel is closed, with why."""
        self._pending: set[asyncio.Future[Any]] = set()
        self._error: ChannelClosedError | None = None
        self._confirms: dict[int, tuple[asyncio.Future[ConfirmResult], _Same]] = {}
        self._returned: Counter[_Same] = Counter()
        self._is_confirmed = False
        self._tag = 0
        channel.add_on_close_callback(self._closed)
        channel.add_on_cancel_callback(self._cancelled)

    @property
    def is_open(self) -> bool:
        """Whether it takes what is asked."""
        return bool(self.pika.is_open)

    async def call(self, method: str, *args: object, **options: object) -> Method[Any]:
        """The broker's answer to a method of pika's channel, such as ``queue_bind``."""
        answer = self.future()

        def answered(frame: Method[Any]) -> None:
            if not answer.done():
                answer.set_result(frame)

        try:
            getattr(self.pika, method)(*args, callback=answered, **options)
        except ChannelWrongStateError as error:  # closing: pika tells us of the end a turn later
            answer.cancel()
            raise ChannelClosedError(None, str(error)) from error
        return cast("Method[Any]", await answer)

    async def declare(self, item: Object, *, passive: bool = False) -> None:
        """Have an object, or (`passive`) see that it exists, if it is no binding."""
        match item:
            case Exchange(name, kind, arguments):
                options = {"passive": passive, "durable": True, "arguments": dict(arguments)}
                await self.call("exchange_declare", name, kind, **options)
            case Queue(name, arguments):
                options = {"passive": passive, "durable": True, "arguments": dict(arguments)}
                await self.call("queue_declare", name, **options)
            case Binding() if passive:
                pass  # there is no way to look at one
            case Binding(exchange, queue, key, absent=True):
                await self.call("queue_unbind", queue, exchange, key)
            case Binding(exchange, queue, key):
                await self.call("queue_bind", queue, exchange, key)

    async def counts(self, queue: str) -> tuple[int, int]:
        """How many messages are ready in a queue, and how many consumers it has."""
        frame = await self.call("queue_declare", queue, passive=True)
        return frame.method.message_count or 0, frame.method.consumer_count or 0

    async def consume(
        self,
        queue: str,
        *,
        prefetch: int = 0,
        auto_ack: bool = False,
        arguments: dict[str, Any] | None = None,
    ) -> DeliveryStream:
        """Consume from now on: nothing that comes after this has returned is missed."""
        if prefetch:
            await self.call("basic_qos", prefetch_count=prefetch)
        stream = DeliveryStream(self)
        frame = await self.call(
            "basic_consume", queue, stream.take, auto_ack=auto_ack, arguments=arguments
        )
        stream.tag = str(frame.method.consumer_tag)
        return stream

    def ack(self, tag: int, *, multiple: bool = False) -> None:
        """Tell the broker that a delivery is settled; dropped when the channel is closed."""
        with suppress(ChannelWrongStateError):
            self.pika.basic_ack(tag, multiple=multiple)

    def write(self, publication: Publication) -> None:
        """Publish without a confirm, best effort."""
        with suppress(ChannelWrongStateError):
            frames.publish(self.pika, publication)

    async def publish(self, publication: Publication) -> ConfirmResult:
        """Publish with a confirm, mandatory; what the broker said.

        Publications are written at once, in the order of the calls; their confirms may be awaited
        side by side (`asyncio.gather`).
        """
        return await self.publish_soon(publication)

    def publish_soon(self, publication: Publication) -> asyncio.Future[ConfirmResult]:
        """Write a publication now; the future is what the broker will say of it.

        The channel is in confirm mode (`confirm`).
        """
        if not self._is_confirmed:
            raise RuntimeError("the channel is not in confirm mode")
        future = self.future()
        try:
            frames.publish(self.pika, publication, mandatory=True)
        except ChannelWrongStateError as error:
            future.cancel()
            raise ChannelClosedError(None, str(error)) from error
        self._tag += 1
        exchange, key = publication.exchange, publication.routing_key
        same = exchange, key, publication.properties.message_id, publication.body
        self._confirms[self._tag] = future, same
        return future

    async def confirm(self) -> None:
        """Have every publication confirmed."""
        self.pika.add_on_return_callback(self._on_return)
        await self.call("confirm_delivery", self._on_confirm)
        self._is_confirmed = True

    def give_back(self) -> None:
        """Close without a cancel: all that is unacked goes back in order."""

        def keep_consuming(*_: object, **__: object) -> None:
            """Stand in for `basic_cancel`, which pika's `close` calls for every consumer."""

        self.pika.basic_cancel = keep_consuming  # type: ignore[method-assign]
        self.close()

    def check(self) -> None:
        """Raise what has closed the channel, if anything has."""
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Close; whoever waits for something here gets an error."""
        with suppress(ChannelWrongStateError):
            self.pika.close()

    def future(self) -> asyncio.Future[Any]:
        """Something to await that fails when the channel is closed."""
        self.check()
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._pending.add(future)
        future.add_done_callback(self._pending.discard)
        return future

    def _on_return(
        self, _: object, method: Basic.Return, properties: BasicProperties, body: bytes
    ) -> None:
        message_id = cast("codec.WireProperties", properties).core.message_id
        exchange, key = codec.name_in(method.exchange), codec.name_in(method.routing_key)
        self._returned[exchange, key, message_id, body] += 1

    def _on_confirm(self, frame: Method[Basic.Ack | Basic.Nack]) -> None:
        last = frame.method.delivery_tag
        tags = [last]
        if frame.method.multiple:
            tags = [tag for tag in self._confirms if tag <= last]
        for tag in tags:
            future, same = self._confirms.pop(tag)
            fate = ConfirmResult.CONFIRMED
            if self._returned[same]:
                self._returned[same] -= 1
                fate = ConfirmResult.UNROUTABLE
                if not self._returned[same]:
                    del self._returned[same]
            if not future.done():
                future.set_result(
                    ConfirmResult.REFUSED if isinstance(frame.method, Basic.Nack) else fate
                )

    def _cancelled(self, _: object) -> None:
        """RabbitMQ has ended a consumer: its queue is gone or moved, or from 4.3 acks were late."""
        why = "the consumer is cancelled: its queue is gone or has moved, or acks came too late"
        self._fail(ChannelClosedError(NOT_FOUND, why))
        self.give_back()

    def _closed(self, _: object, error: Exception) -> None:
        code = getattr(error, "reply_code", None) if self.pika.connection.is_open else None
        text = " ".join(str(getattr(error, "reply_text", "") or error).split())
        self._fail(ChannelClosedError(code, text))

    def _fail(self, error: ChannelClosedError) -> None:
        if self._error is None:
            self._error = error
        if not self.closed.done():
            self.closed.set_result(self._error)
        for future in list(self._pending):
            if not future.done():
                future.set_exception(self._error)
                future.exception()  # nobody may be waiting for it: that is no bug


class DeliveryStream:
    """Deliveries of one consumer, one after the other: ``async for``.

    It raises when the channel is closed before there is another.
    """

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.tag = ""
        self._came: deque[Delivery] = deque()
        self._arrival: asyncio.Future[None] | None = None

    def take(
        self, _: object, method: Basic.Deliver, properties: BasicProperties, body: bytes
    ) -> None:
        """A delivery has come."""
        self._came.append(codec.received(method, properties, body, datetime.now(UTC)))
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    def __aiter__(self) -> DeliveryStream:
        return self

    async def __anext__(self) -> Delivery:
        while not self._came:
            self._arrival = self.channel.future()
            await self._arrival
        return self._came.popleft()

    async def within(self, seconds: float) -> Delivery | None:
        """The next delivery; None when none has come for so long."""
        if self._came:
            return self._came.popleft()
        try:
            async with asyncio.timeout(seconds):
                return await anext(self)
        except TimeoutError:
            return None

    async def cancel(self) -> None:
        """Have no more of them; those that came stay unacked."""
        await self.channel.call("basic_cancel", self.tag)


class Session:
    """A connection, with what commands do on it."""

    def __init__(
        self, broker: Broker, connection: AsyncioConnection, url: str, stopping: asyncio.Event
    ) -> None:
        """Use `run` or `connected`."""
        self.names = broker.names
        self._broker = broker
        self.address = shown(url)
        parts = urlsplit(url)
        self.user = unquote(parts.username or "guest")
        """The RabbitMQ user of this connection."""
        self.virtual_host = unquote(parts.path[1:]) or "/"
        self.stopping = stopping
        """Set when a person wants it to end."""
        self.blocked: str | None = None
        """Why RabbitMQ takes no publications at the moment; None when it does."""
        self._connection = connection
        self._publishing: Channel | None = None
        connection.add_on_connection_blocked_callback(self._on_blocked)
        connection.add_on_connection_unblocked_callback(self._on_unblocked)

    @property
    def server(self) -> dict[str, object]:
        """What RabbitMQ says it is: product, version, cluster_name, capabilities."""
        return dict(self._connection.server_properties or {})

    async def pause(self, seconds: float) -> None:
        """Wait; no longer once somebody wants the session to end."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stopping.wait(), seconds)

    @property
    def version(self) -> tuple[int, ...]:
        """RabbitMQ's version, such as (4, 0, 5); empty if it does not say."""
        return version_of(self._connection)

    @asynccontextmanager
    async def another(self) -> AsyncIterator[Session]:
        """A second connection to the same broker."""
        async with connected(self._broker, self.stopping) as session:
            yield session

    async def channel(self) -> Channel:
        """A channel of its own. Raises `SessionError` when the connection is lost."""
        try:
            return await channel_of(self._connection)
        except ChannelClosedError as error:
            why = f"lost the connection to {self.address}: {error.text}"
            raise SessionError(FailureKind.ABSENT, why) from error

    async def publish(self, publication: Publication) -> ConfirmResult:
        """Publish with a confirm, on a channel kept for that; what the broker said."""
        return await (await self.publisher()).publish(publication)

    async def publisher(self) -> Channel:
        """A channel in confirm mode, the same at each call while it is open."""
        if self._publishing is None or not self._publishing.is_open:
            channel = await self.channel()
            try:
                await channel.confirm()
            except BaseException:
                channel.close()
                raise
            self._publishing = channel  # not before, for others may ask meanwhile
        return self._publishing

    async def events(self, exchange: str, key: str = "#") -> DeliveryStream:
        """Hear what is published to an exchange from now on, by a queue of this connection.

        The queue is exclusive and named below the exchange, so that a user who may use the names
        of the namespace needs no permission for others.
        """
        queue = f"{exchange}.{uuid4().hex}"
        channel = await self.channel()
        await channel.call("queue_declare", queue, exclusive=True, auto_delete=True)
        await channel.call("queue_bind", queue, exchange, key)
        return await channel.consume(queue, auto_ack=True)

    async def stream(
        self, queue: str, offset: Offset, *, follow: bool = False
    ) -> AsyncIterator[Delivery]:
        """The entries of a stream from `offset` up to now.

        With `follow` without end, and others' markers too (messages of type `MARKER`).

        Up to now means up to a marker that is published for it; without the permission to publish
        one, until nothing has come for a while. Raises `SessionError` where there is no stream.
        """
        channel = await self.channel()
        try:
            entries = await channel.consume(
                queue, prefetch=STREAM_PREFETCH, arguments={OFFSET: offset}
            )
        except ChannelClosedError as error:
            raise _no_stream(queue, error) from error
        marker = None if follow else await self.mark(queue)
        unacked = last = 0
        try:
            while True:
                is_limited = marker == "" or (follow and unacked)
                delivery = await (entries.within(QUIET) if is_limited else anext(entries))
                if delivery is None and not follow:
                    return
                if delivery is None:  # RabbitMQ wants what is delivered acked in some time
                    channel.ack(last, multiple=True)
                    unacked = 0
                    continue
                if delivery.properties.headers.text(OFFSET) is None:
                    raise SessionError(FailureKind.NO_STREAM, f"{queue} is no stream")
                if follow or delivery.properties.type not in {MARKER, SLOTS_TYPE}:
                    yield delivery
                elif delivery.properties.message_id == marker:
                    return
                unacked, last = unacked + 1, delivery.tag
                if unacked >= ACK_EVERY:
                    unacked = 0
                    channel.ack(last, multiple=True)
        finally:
            channel.close()

    async def journal(self, offset: Offset, *, follow: bool = False) -> AsyncIterator[Delivery]:
        """The entries of the journal: see `stream`."""
        try:
            async for entry in self.stream(self.names.journal, offset, follow=follow):
                yield entry
        except SessionError as error:
            if error.failure.kind is not FailureKind.NO_STREAM:
                raise
            why = f"there is no journal to read: {error.failure.why}"
            raise SessionError(FailureKind.NO_STREAM, why) from None

    async def mark(self, queue: str, marker: str = "", headers: Headers = NO_HEADERS) -> str:
        """Publish a marker to a stream; its id, or "" when that is not allowed.

        Whoever follows the stream may see it before this returns: `marker` is an id to wait for.
        """
        marker = marker or str(uuid4())
        properties = Properties(
            delivery_mode=PERSISTENT, message_id=marker, type=MARKER, headers=headers
        )
        try:
            await self.publish(Publication("", queue, b"", properties))
        except ChannelClosedError as error:
            if error.code != ACCESS_REFUSED:
                raise
            return ""
        return marker

    async def declared(self, items: Iterable[Object]) -> None:
        """Declare objects one by one."""
        channel = await self.channel()
        for item in items:
            await channel.declare(item)
        channel.close()

    async def close(self) -> None:
        """Leave RabbitMQ, in good order if it answers."""
        if not self._connection.is_open:
            return
        closed = asyncio.Event()
        self._connection.add_on_close_callback(lambda *_: closed.set())
        self._connection.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(closed.wait(), CLOSE_WITHIN)

    def _on_blocked(self, _: object, frame: object) -> None:
        method = getattr(frame, "method", None)
        self.blocked = str(getattr(method, "reason", "")) or "no reason given"

    def _on_unblocked(self, _: object, __: object) -> None:
        self.blocked = None


def _no_stream(queue: str, error: ChannelClosedError) -> SessionError:
    match error.code:
        case 404:
            return SessionError(FailureKind.NO_STREAM, f"there is no queue {queue}")
        case 406:
            return SessionError(FailureKind.NO_STREAM, f"{queue} is no stream")
        case _:
            return error
