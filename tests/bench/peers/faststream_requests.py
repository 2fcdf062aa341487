"""FastStream with requests in threads: `faststream run tests.bench.peers.faststream_requests:app`.

A handler that is no coroutine would run in anyio's threads, 40 of them
(https://faststream.ag2.ai/latest/getting-started/subscription/), and could not publish from there;
so the call alone goes to a pool with a thread for each message that may be in flight.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from faststream import AckPolicy, FastStream
from faststream.rabbit import RabbitMessage  # noqa: TC002 (FastStream reads the annotation)

from tests.bench.peers.blocking import Sessions
from tests.bench.peers.faststream_app import broker, by, publish, queue, work

app = FastStream(broker, logger=None)
_sessions = Sessions()
_pool = ThreadPoolExecutor(by.concurrency)


@broker.subscriber(queue, ack_policy=AckPolicy.NACK_ON_ERROR)
async def apply_edit(document: dict[str, Any], message: RabbitMessage) -> None:
    """Do the work of one edit, and publish its event before FastStream acks."""
    received_at = datetime.now(UTC)
    body, headers = work.body(document), work.headers()
    loop = asyncio.get_running_loop()
    reply = await loop.run_in_executor(_pool, _sessions.posted, by.api_url, body, headers)
    await publish(work.event(document, message.message_id, received_at, reply))
