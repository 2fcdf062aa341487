"""A TCP proxy on loopback that can break every connection through it, in every way TCP has."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import time
from contextlib import suppress
from dataclasses import dataclass
from threading import Thread
from typing import TYPE_CHECKING, Literal, Self, TypeVar, cast

from ops.rabbitmq.ports import free_port
from tests.chaos.evidence import Departure
from tests.chaos.greeting import Greeting

if TYPE_CHECKING:
    from collections.abc import Coroutine

Side = Literal["client", "server"]
Result = TypeVar("Result")
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER for no time: close sends RST
_API_KEY = re.compile(rb"(?i)\r\napi-key: *([^\r]+)")
_A_LITTLE = 1e-5
_BEGINNING = 2000
_PATIENCE = 10.0
_LOOK_EVERY = 0.005


@dataclass(frozen=True, slots=True)
class Weather:
    """What passes between the two sides; `delay` is each way, in seconds."""

    delay: float = 0.0
    still: bool = False
    """Nothing passes; both sides believe in the connection. What was sent arrives afterwards."""
    deaf: Side | None = None
    """What this side should hear is thrown away, so its connections are of no use afterwards."""
    only: bytes = b""
    """Only for connections whose client has said these words at the beginning."""


CLEAR = Weather()


class Network:
    """A thread on which proxies live, as a context manager."""

    looked = 0.0
    """When it last looked for input, in epoch seconds: since then it may have been held up."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="network", daemon=True)
        self._proxies: list[Proxy] = []

    def __enter__(self) -> Self:
        self._loop.call_soon(self._look)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for proxy in self._proxies:
            self.run(proxy.end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PATIENCE)
        self._loop.close()

    def proxy(self, target: int, *, greeting: bytes = b"") -> Proxy:
        """A proxy to a port of this machine, on a free port of its own."""
        proxy = Proxy(self, self._loop, target, greeting)
        self._proxies.append(proxy)
        self.run(proxy.listen())
        return proxy

    def _look(self) -> None:
        self.looked = time.time()
        self._loop.call_later(_LOOK_EVERY, self._look)

    def run(self, work: Coroutine[object, object, Result]) -> Result:
        """What `work` gives, done on the network's thread; from any other thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_PATIENCE)


class Proxy:
    """Passes bytes between clients of `port` and a target port.

    The methods of trouble may be called from any thread but the network's. `greeting` is an HTTP
    request that is sent first on each connection to the target; its answer is swallowed.
    """

    def __init__(
        self, network: Network, loop: asyncio.AbstractEventLoop, target: int, greeting: bytes
    ) -> None:
        self.port = free_port()
        self.target = target
        self.weather = CLEAR
        self.sent: list[Departure] = []
        """Each HTTP request (POST) that a client has sent; times are epoch seconds."""
        self.pairs: set[Pair] = set()
        self.greeting = greeting
        self.loop = loop
        self.moving = asyncio.Event()
        self.moving.set()
        self._network = network
        self._listener: asyncio.Server | None = None

    def note(self, account: str) -> None:
        """Set down that a call was sent."""
        now = time.time()
        self.sent.append(Departure(now, account, now - self._network.looked))

    async def listen(self) -> None:
        """Take connections; on the network's thread."""
        if self._listener is None:
            self._listener = await self.loop.create_server(
                lambda: End(Pair(self), "client"), "127.0.0.1", self.port, reuse_address=True
            )

    async def end(self) -> None:
        """Cut every connection and take no other; on the network's thread."""
        await self._refuse()
        connecting = [pair.connecting for pair in self.pairs]
        for task in connecting:
            task.cancel()
        await asyncio.gather(*connecting, return_exceptions=True)
        await self._cut("client", "server")
        await asyncio.sleep(0)  # for what was cut to be closed

    def turn(self, weather: Weather) -> None:
        """Have this weather from now on, for the connections that there are as well."""
        self._network.run(self._turn(weather))

    def reset(self, only: bytes = b"") -> None:
        """Cut every connection at once, by RST to both sides; with `only` as in `Weather`."""
        self._network.run(self._cut("client", "server", only=only))

    def half_open(self, believes: Side, only: bytes = b"") -> None:
        """End every connection, and let only the other side know: `believes` goes on alone."""
        self._network.run(self._cut("server" if believes == "client" else "client", only=only))

    def refuse(self) -> None:
        """Refuse connections until `accept`; those that are open go on."""
        self._network.run(self._refuse())

    def accept(self) -> None:
        """Take connections again."""
        self._network.run(self.listen())

    async def _turn(self, weather: Weather) -> None:
        before, self.weather = self.weather, weather
        if before.deaf is not None:
            await self._cut("client", "server", only=before.only)
        (self.moving.clear if weather.still and not weather.only else self.moving.set)()
        for pair in list(self.pairs):
            pair.release()

    async def _cut(self, *sides: Side, only: bytes = b"") -> None:
        for pair in list(self.pairs):
            for side in sides if pair.said(only) else ():
                pair.cut(side)

    async def _refuse(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None


class Pair:
    """One connection through the proxy: the client's end, and ours to the target."""

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy
        self.ends: dict[Side, asyncio.Transport] = {}
        self._greeting = Greeting(proxy.greeting)
        self.connecting = proxy.loop.create_task(self._connect())
        self._joined = False
        self._is_cut = False
        self._begun = b""
        self._held: list[tuple[Side, bytes]] = []
        self._left: list[Side] = []
        self._due = 0.0

    def joined(self, side: Side, transport: asyncio.Transport) -> None:
        """One end is connected; the client's comes first."""
        if self._is_cut:
            transport.abort()  # cut while we were connecting: what it held back reaches nobody
            return
        self.ends[side] = transport
        if side == "client":
            self.proxy.pairs.add(self)
        else:
            self._joined = True
            transport.write(self.proxy.greeting)
            self.release()

    def said(self, words: bytes) -> bool:
        """Whether the client has said these words at the beginning; true of no words."""
        return words in self._begun

    @property
    def weather(self) -> Weather:
        """The proxy's, where it is meant for this connection."""
        weather = self.proxy.weather
        return weather if self.said(weather.only) else CLEAR

    def release(self) -> None:
        """Hand on what was held back, and end what was ended meanwhile."""
        if not self._joined or self.weather.still:
            return
        held, self._held = self._held, []
        for side, data in held:
            self._hand_on(side, data)
        left, self._left = self._left, []
        for side in left:
            self._end_other(side)

    def heard(self, side: Side, data: bytes) -> None:
        """Bytes came from one end: hand them to the other, as the weather lets."""
        if side == "client" and data.startswith(b"POST "):
            self.proxy.note(_api_key(data))
        if side == "client" and len(self._begun) < _BEGINNING:
            self._begun += data
        if side == "server" and not self._greeting.answered:
            data = self._greeting.rest(data)
        if not self._joined or self.weather.still:
            self._held.append((side, data))
        else:
            self._hand_on(side, data)

    def left(self, side: Side) -> None:
        """One end has closed: so does the other, once it has what was on its way."""
        if self.ends.pop(side, None) is None:
            return  # we have cut it ourselves
        if self._joined and not self.weather.still:
            self._end_other(side)
        else:
            self._left.append(side)

    def cut(self, side: Side) -> None:
        """Send RST to one side. The other is told nothing, and what it says is thrown away."""
        self._is_cut = True
        transport = self.ends.pop(side, None)
        if transport is not None:
            with suppress(OSError):
                sock = cast("socket.socket", transport.get_extra_info("socket"))
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            transport.abort()
        self._forget()

    def _hand_on(self, side: Side, data: bytes) -> None:
        other: Side = "server" if side == "client" else "client"
        loop, weather = self.proxy.loop, self.weather
        if weather.deaf == other or not data:
            return
        if weather.delay or self._due > loop.time():
            self._due = max(self._due + _A_LITTLE, loop.time() + weather.delay)
            loop.call_at(self._due, self._write, other, data)
        else:
            self._write(other, data)

    def _end_other(self, side: Side) -> None:
        for other in self.ends.values():
            wait = max(0.0, self._due - self.proxy.loop.time()) + _A_LITTLE
            self.proxy.loop.call_later(wait, other.close)
        self._forget()

    def _forget(self) -> None:
        if not self.ends:
            self.proxy.pairs.discard(self)

    def _write(self, side: Side, data: bytes) -> None:
        transport = self.ends.get(side)
        if transport is not None and not transport.is_closing():
            transport.write(data)

    async def _connect(self) -> None:
        await self.proxy.moving.wait()  # nobody hears the first packet either
        try:
            await self.proxy.loop.create_connection(
                lambda: End(self, "server"), "127.0.0.1", self.proxy.target
            )
        except OSError:
            self.cut("client")


def _api_key(request: bytes) -> str:
    """Whose call it is."""
    found = _API_KEY.search(request)
    return found[1].decode() if found else ""


class End(asyncio.Protocol):
    """One end of a pair, as asyncio speaks to it."""

    def __init__(self, pair: Pair, side: Side) -> None:
        self._pair = pair
        self._side = side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self._pair.joined(self._side, cast("asyncio.Transport", transport))

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        self._pair.heard(self._side, data)

    def connection_lost(self, _: Exception | None) -> None:
        """Closed, by whomever."""
        self._pair.left(self._side)
