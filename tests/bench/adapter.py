"""What a call of the API costs in CPU: our client, the stock adapter, `Session.post`.

`python -m tests.bench.adapter [--tls] [--latency MS] [--threads N …]` starts a small HTTP server
in a process of its own and lets the contestants call it in turn, from 1 and from 16 threads
unless told otherwise. It prints medians: microseconds of CPU (user and system, of this process
alone) a call, and calls a second.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import ssl
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

import requests
from pydantic import SecretStr
from requests.adapters import HTTPAdapter

from worker.account import Endpoint
from worker.api.auth import signature
from worker.api.client import Client
from worker.core.reply import Answered

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

KEY, SECRET = "bDqJFiq9", "7bz1lzh9"
EDIT = (
    b'{"appId":"LILIN888","jobId":123,"name":"lilinname2","dialogFlowId":8663,"mode":"AUTO",'
    b'"dailyStartDateTime":"09:00","dailyEndDateTime":"20:00","robotCount":1,'
    b'"jobPhoneNumberId":2959,"redial":false,"startDateTime":"2022-09-16 08:00:00"}'
)
REPLY = (
    b"HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Sun, 22 Nov 2026 08:00:00 GMT\r\n"
    b"Content-Type: application/json;charset=UTF-8\r\nContent-Length: 45\r\n"
    b"Connection: keep-alive\r\n\r\n"
    b'{"status":"0","reason":"success","data":null}'
)


class _Answering(asyncio.Protocol):
    """Answers each request so many seconds after the last byte of its body has come."""

    def __init__(self, latency: float) -> None:
        self._latency = latency

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._missing = 0

    def data_received(self, data: bytes) -> None:
        if not self._missing:
            head, _, body = data.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            self._missing = length - len(body)
        else:
            self._missing -= len(data)
        if not self._missing:
            assert isinstance(self._transport, asyncio.WriteTransport)
            if self._latency:
                loop = asyncio.get_running_loop()
                loop.call_later(self._latency, self._transport.write, REPLY)
            else:
                self._transport.write(REPLY)


def serve(port: Connection, certificate: str | None, latency: float) -> None:
    """Serve on a free port of the loopback, told through `port`, until killed."""

    async def run() -> None:
        context = None
        if certificate:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(certificate)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: _Answering(latency), "127.0.0.1", 0, ssl=context, backlog=256
        )
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


def contestants(url: str, ca_file: str | None) -> dict[str, Callable[[], object]]:
    """One call by each, as it would be made in a worker: signed anew every time."""
    address = f"{url}/taskEdit"
    endpoint = Endpoint(url, timedelta(seconds=5), timedelta(seconds=30), ca_file=ca_file)
    client = Client(endpoint, KEY, SecretStr(SECRET))
    session = requests.Session()
    session.trust_env = False
    session.mount(url, HTTPAdapter(pool_maxsize=200))
    adapter = HTTPAdapter(pool_maxsize=200)
    fixed = {"Content-Type": "application/json;charset=UTF-8", "Api-Key": KEY}
    template = requests.Request("POST", address, headers=fixed, data=EDIT).prepare()
    verify = ca_file or True

    def signed() -> dict[str, str]:
        now = str(int(time.time()))
        return {"Sign": signature(KEY, SECRET, now), "Timestamp": now}

    def by_client() -> object:
        reply = client.call(EDIT, int(time.time()))
        assert isinstance(reply, Answered), reply
        return reply.status

    def by_session() -> object:
        headers = fixed | signed()
        reply = session.post(address, data=EDIT, headers=headers, timeout=(5, 30), verify=verify)
        return reply.json()["status"]

    def by_stock_adapter() -> object:
        request = template.copy()
        request.headers.update(signed())
        return adapter.send(request, timeout=(5, 30), verify=verify).json()["status"]

    return {
        "own client": by_client,
        "stock adapter": by_stock_adapter,
        "Session.post": by_session,
    }


def cost(call: Callable[[], object], calls: int, threads: int) -> tuple[float, float]:
    """Microseconds of CPU a call, and calls a second."""

    def some() -> None:
        for _ in range(calls // threads):
            assert call() == "0"

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda _: call(), range(threads)))
        cpu, clock = time.process_time(), time.perf_counter()
        for done in [pool.submit(some) for _ in range(threads)]:
            done.result()
        cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
    made = calls // threads * threads
    return cpu / made * 1e6, made / clock


def main() -> None:
    """Run all rounds and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--latency", type=float, default=0, help="of the server, in ms")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--calls", type=int, default=3000, help="of each contestant in a round")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ca_file = certificate = None
        if options.tls:
            import trustme  # noqa: PLC0415 (the bench imports us where there is none)

            ca_file, certificate = f"{folder}/ca.pem", f"{folder}/server.pem"
            authority = trustme.CA()
            authority.cert_pem.write_to_path(ca_file)
            server_pem = authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem
            server_pem.write_to_path(certificate)
        ours, theirs = multiprocessing.Pipe()
        server = multiprocessing.get_context("spawn").Process(
            target=serve, args=(theirs, certificate, options.latency / 1000), daemon=True
        )
        server.start()
        try:
            scheme = "https" if options.tls else "http"
            calls = contestants(f"{scheme}://127.0.0.1:{ours.recv()}", ca_file)
            report(calls, options.threads, options.calls, options.rounds)
        finally:
            server.kill()
            server.join()


def report(
    calls: dict[str, Callable[[], object]], at_once: list[int], count: int, rounds: int
) -> None:
    """Let the contestants run in turn and print medians and ratios."""
    for threads in at_once:
        figures: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
        for _ in range(rounds):
            for name, call in calls.items():
                figures[name].append(cost(call, count, threads))
        sys.stdout.write(f"\n{threads} thread{'s' * (threads > 1)}: CPU a call, calls a second\n")
        own = statistics.median(cpu for cpu, _ in figures["own client"])
        for name, rows in figures.items():
            cpu = statistics.median(row[0] for row in rows)
            rate = statistics.median(row[1] for row in rows)
            sys.stdout.write(f"  {name:14} {cpu:6.0f} µs  {rate:6.0f}/s  × {cpu / own:.1f}\n")


if __name__ == "__main__":
    main()
