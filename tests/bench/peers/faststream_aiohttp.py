"""FastStream with aiohttp: `faststream run tests.bench.peers.faststream_aiohttp:app`.

One session for the life of the program, as aiohttp advises
(https://docs.aiohttp.org/en/stable/http_request_lifecycle.html), with a connection for each
message that may be in flight.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import aiohttp
from faststream import AckPolicy, FastStream
from faststream.rabbit import RabbitMessage  # noqa: TC002 (FastStream reads the annotation)

from tests.bench.peers.faststream_app import broker, by, publish, queue, work

app = FastStream(broker, logger=None)
_sessions: list[aiohttp.ClientSession] = []


@app.on_startup
async def open_session() -> None:
    """Open the one session, in the loop that it is used in."""
    connector = aiohttp.TCPConnector(limit=by.concurrency)
    timeout = aiohttp.ClientTimeout(total=30, connect=5)
    _sessions.append(aiohttp.ClientSession(connector=connector, timeout=timeout))


@app.after_shutdown
async def close_session() -> None:
    """Close it."""
    for session in _sessions:
        await session.close()


@broker.subscriber(queue, ack_policy=AckPolicy.NACK_ON_ERROR)
async def apply_edit(document: dict[str, Any], message: RabbitMessage) -> None:
    """Do the work of one edit, and publish its event before FastStream acks."""
    received_at = datetime.now(UTC)
    [session] = _sessions
    body, headers = work.body(document), work.headers()
    async with session.post(by.api_url, data=body, headers=headers) as reply:
        reply.raise_for_status()
        answered = await reply.read()
    await publish(work.event(document, message.message_id, received_at, answered))
