"""The listening end: one provider behind one port, on one loop."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from ops.simulator import panel, reply
from ops.simulator.wire import CONTROL, Connection

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from ops.simulator.faults.fault import Step
    from ops.simulator.provider import Provider, Underway
    from ops.simulator.reply import Reply
    from ops.simulator.wire import Request

TASK_EDIT = "/aivoice/taskEdit"
_BACKLOG = 4096
_BEFORE_ANOTHER_TRY = 0.05


class Server:
    """Listens, keeps the one clock, and hands each request to whom it is for."""

    def __init__(
        self, provider: Provider, host: str, port: int, tls: ssl.SSLContext | None = None
    ) -> None:
        self.provider = provider
        self.host, self.port = host, port
        self._tls = tls
        # Steps of the wall clock would tear a sliding second: one reading, then monotonic.
        self._epoch = time.time() - time.monotonic()
        self._listener: asyncio.Server | None = None
        self._reopening: asyncio.Task[None] | None = None
        self._connections: set[Connection] = set()
        self._numbers = 0
        self._date = (0, "")

    @property
    def url(self) -> str:
        """The base address, ending in /aivoice."""
        return f"{'https' if self._tls else 'http'}://{self.host}:{self.port}/aivoice"

    async def listen(self) -> None:
        """Open the port (0: any free one, kept from then on); OSError when it is taken."""
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(
            lambda: Connection(self, loop),
            self.host,
            self.port,
            ssl=self._tls,
            backlog=_BACKLOG,
            reuse_address=True,
        )
        self.port = self._listener.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Stop listening and end every connection."""
        self._shut()
        for connection in list(self._connections):
            connection.abort()

    def refuse(self, seconds: float) -> None:
        """Refuse connections for a while; those open are cut, apart from control ones."""
        self._shut()
        for connection in list(self._connections):
            if not connection.is_control:
                connection.abort()
        self._reopening = asyncio.get_running_loop().create_task(self._reopen(seconds))

    def _shut(self) -> None:
        if self._reopening is not None:
            self._reopening.cancel()
            self._reopening = None
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def _reopen(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        while True:
            try:
                await self.listen()
            except OSError:  # somebody has the port; it was ours, so it is worth waiting
                await asyncio.sleep(_BEFORE_ANOTHER_TRY)
            else:
                return

    # -- what a connection asks

    def now(self) -> float:
        """Epoch seconds; one clock for all, that never goes back."""
        return self._epoch + time.monotonic()

    def date(self) -> str:
        """The Date header of this moment, by the provider's clock."""
        second = int(self.provider_now())
        if second != self._date[0]:
            self._date = (second, reply.http_date(second))
        return self._date[1]

    def provider_now(self) -> float:
        """The provider's epoch."""
        return self.provider.clock(self.now())

    def connected(self, connection: Connection) -> int:
        """Note a connection; its number."""
        self._connections.add(connection)
        self._numbers += 1
        return self._numbers

    def disconnected(self, connection: Connection) -> None:
        """Forget a connection."""
        self._connections.discard(connection)

    def answer(self, request: Request, connection: int) -> Underway | Reply | Iterator[Step]:
        """What becomes of a request."""
        path = request.target.partition("?")[0]
        if path == TASK_EDIT and request.method == "POST":
            return self.provider.arrive(request.headers, request.body, request.arrived, connection)
        if path.startswith(CONTROL):
            return panel.answer(self, request)
        return reply.spring_error(405 if path == TASK_EDIT else 404, path, self.provider_now())

    def abandoned(self, call: Underway) -> None:
        """The caller of this call has left."""
        self.provider.abandon(call)

    def finished(self, call: Underway) -> None:
        """This call is over."""
        self.provider.finish(call, self.now())
