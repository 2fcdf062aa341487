"""`python -m ops.simulator`: the stand-in of the provider's API as a process of its own."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import signal
import ssl
import sys
from dataclasses import replace
from datetime import timedelta

from ops.simulator.account import Account, Settings
from ops.simulator.cues import Latency, Selector
from ops.simulator.provider import Provider
from ops.simulator.server import Server
from ops.simulator.units import duration, rate

COLLECT_AT = (10_000, 20, 20)
"""Garbage is looked for seldom (see `gc`): meanwhile no call is read, and an account's is late."""
_DEMO = Account("demo-key", "demo-secret")


def main() -> int:
    """Run until SIGTERM, SIGINT or, if asked for, the end of stdin; the exit code."""
    options = _parser().parse_args()
    provider = Provider(Settings(clock_offset=timedelta(seconds=options.clock_offset)))
    for account in options.account or [_DEMO]:
        provider.open(replace(account, limits=options.rate))
    if options.latency or options.jitter:
        provider.cues.add(Selector(), Latency(options.latency, options.jitter))
    try:
        tls = _tls(options)
    except OSError as problem:  # ssl.SSLError is one
        sys.stderr.write(f"simulator: cannot serve TLS with {options.cert}: {problem}\n")
        return 1
    gc.freeze()
    gc.set_threshold(*COLLECT_AT)
    try:
        asyncio.run(_serve(provider, options, tls))
    except OSError as problem:
        sys.stderr.write(f"simulator: cannot listen on {options.host}:{options.port}: {problem}\n")
        return 1
    return 0


async def _serve(
    provider: Provider, options: argparse.Namespace, tls: ssl.SSLContext | None
) -> None:
    server = Server(provider, options.host, options.port, tls)
    await server.listen()
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)
    if options.until_stdin_closes:
        loop.add_reader(sys.stdin.fileno(), over.set)
    control = server.url.replace("/aivoice", "/_simulator/")
    print(json.dumps({"url": server.url, "control": control}), flush=True)
    await over.wait()
    server.close()


def _tls(options: argparse.Namespace) -> ssl.SSLContext | None:
    if options.cert is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.cert, options.key)
    return context


def _account(text: str) -> Account:
    key, _, rest = text.partition(":")
    secret, _, app_ids = rest.partition(":")
    if not key or not secret:
        raise argparse.ArgumentTypeError("write KEY:SECRET or KEY:SECRET:app1,app2")
    return Account(key, secret, frozenset(filter(None, app_ids.split(","))))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ops.simulator",
        description="A stand-in of the provider's API; see ops/simulator/README.md.",
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080, help="0: any free one")
    parser.add_argument(
        "--account",
        type=_account,
        action="append",
        metavar="KEY:SECRET[:APP,APP]",
        help="may be given several times; default demo-key:demo-secret",
    )
    parser.add_argument("--rate", type=rate, default=(), help="of each account: 20/s,600/m")
    parser.add_argument("--latency", type=duration, default=timedelta(), help="50ms")
    parser.add_argument("--jitter", type=duration, default=timedelta(), help="20ms, uniform")
    parser.add_argument("--cert", help="serve TLS with this PEM file")
    parser.add_argument("--key", help="its private key, unless it is in the same file")
    parser.add_argument("--clock-offset", type=float, default=0, help="seconds; may be negative")
    parser.add_argument(
        "--until-stdin-closes", action="store_true", help="end with whoever started it"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
