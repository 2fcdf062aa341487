"""Faults in which the due reply is never seen; the edit is not applied.

Each takes the due reply, the fault and the provider's epoch, and gives steps.
"""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

from ops.simulator.faults.fault import Close, Hang, Send, Step, Wait
from ops.simulator.reply import Reply, chunk, head, http_date, retry_after, spring_error, whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops.simulator.faults.fault import Fault

_MIB = 1024 * 1024
_GZIP_WINDOW = 31
_HTML = b"<!DOCTYPE html><html><head><title>Gateway</title></head><body><h1>Oops</h1></body></html>"
JUNK = bytes(range(256)) * 4


def http(_: Reply, fault: Fault, now: float) -> Iterator[Step]:
    """HTTP status `code` with a body of `form`, `headers` and `retry_after`."""
    yield Send(whole(_replacement(fault, now), http_date(now)))


def html(due: Reply, fault: Fault, now: float) -> Iterator[Step]:
    """A gateway's HTML page with HTTP 200."""
    yield from http(due, replace(fault, code=200, form="html"), now)


def redirect(_: Reply, fault: Fault, now: float) -> Iterator[Step]:
    """302 to the address in `body`."""
    target = fault.body.decode("latin-1") or "/aivoice/elsewhere"
    yield Send(whole(Reply(302, b"", (("Location", target),)), http_date(now)))


def no_content(_: Reply, __: Fault, now: float) -> Iterator[Step]:
    """204."""
    yield Send(whole(Reply(204, b"", ()), http_date(now)))


def body(due: Reply, fault: Fault, now: float) -> Iterator[Step]:
    """HTTP 200 with `body` as it was given."""
    yield Send(whole(replace(due, body=fault.body), http_date(now)))


def raw(_: Reply, fault: Fault, __: float) -> Iterator[Step]:
    """The bytes of `body` (or junk) instead of HTTP, and the end."""
    yield Send(fault.body or JUNK)
    yield Close(fault.reset)


def raw_open(_: Reply, fault: Fault, __: float) -> Iterator[Step]:
    """The bytes of `body`, and then silence."""
    yield Send(fault.body or JUNK)
    yield Hang()


def drop(_: Reply, fault: Fault, __: float) -> Iterator[Step]:
    """The end, without a byte."""
    yield Close(fault.reset)


def stall(_: Reply, __: Fault, ___: float) -> Iterator[Step]:
    """Silence."""
    yield Hang()


def endless_headers(due: Reply, _: Fault, now: float) -> Iterator[Step]:
    """Headers, as fast as the caller takes them."""
    yield Send(head(due, http_date(now)).removesuffix(b"\r\n"))
    while True:
        yield Send(b"X-Filler: " + b"a" * 1000 + b"\r\n")
        yield Wait(0)


def endless_body(due: Reply, _: Fault, now: float) -> Iterator[Step]:
    """JSON that never ends, as fast as the caller takes it."""
    yield Send(head(due, http_date(now), "Transfer-Encoding: chunked"))
    yield Send(chunk(b'{"status": "0", "reason": "'))
    while True:
        yield Send(chunk(b"a" * 16384))
        yield Wait(0)


def gzip_bomb(due: Reply, fault: Fault, now: float) -> Iterator[Step]:
    """A valid gzip of valid JSON: status 0, and a reason of `size` MiB of spaces."""
    headers = ("Transfer-Encoding: chunked", "Content-Encoding: gzip")
    yield Send(head(due, http_date(now), *headers))
    packer = zlib.compressobj(9, zlib.DEFLATED, _GZIP_WINDOW)
    yield from _packed(packer.compress(b'{"status": "0", "reason": "'))
    block = b" " * _MIB
    for _ in range(fault.size):
        yield from _packed(packer.compress(block))
        yield Wait(0)
    yield from _packed(packer.compress(b'", "data": null}') + packer.flush())
    yield Send(chunk(b""))


def _packed(data: bytes) -> Iterator[Step]:
    if data:  # an empty chunk would be the end
        yield Send(chunk(data))


def _replacement(fault: Fault, now: float) -> Reply:
    plain = _plain(fault, now)
    headers = plain.headers + fault.headers
    if fault.retry_after is not None:
        headers = (*headers, ("Retry-After", retry_after(fault.retry_after, now)))
    return replace(plain, headers=headers)


def _plain(fault: Fault, now: float) -> Reply:
    match fault.form:
        case "spring":
            return spring_error(fault.code, "/aivoice/taskEdit", now)
        case "json":
            return Reply(fault.code, b'{"status": "-5", "reason": "system error", "data": null}')
        case "html":
            return Reply(fault.code, _HTML, (("Content-Type", "text/html;charset=UTF-8"),))
        case "empty":
            return Reply(fault.code, b"", ())
        case "given":
            return Reply(fault.code, fault.body)
