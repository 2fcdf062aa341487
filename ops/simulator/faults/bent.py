"""Faults in which the due reply goes out, or a part of it, in an unusual way.

The edit was judged as usual, and is applied when the reply says so, seen or not.
Each takes the due reply, the fault and the provider's epoch, and gives steps.
"""

from __future__ import annotations

import gzip
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from ops.simulator.faults.fault import Close, Send, Step, Wait
from ops.simulator.faults.replaced import JUNK
from ops.simulator.reply import Reply, chunk, head, http_date, whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops.simulator.faults.fault import Fault

_EARLY_HINTS = 103


def drop_mid_headers(due: Reply, fault: Fault, now: float) -> Iterator[Step]:
    """The end in the middle of the headers."""
    yield Send(head(due, http_date(now))[:40])
    yield Close(fault.reset)


def drop_mid_reply(due: Reply, fault: Fault, now: float) -> Iterator[Step]:
    """The end in the middle of the body."""
    data = whole(due, http_date(now))
    yield Send(data[: len(data) - max(1, len(due.body) // 2)])
    yield Close(fault.reset)


def drip_headers(due: Reply, fault: Fault, now: float) -> Iterator[Step]:
    """Status line and headers in pieces of `size` bytes, one `every` so often."""
    data = whole(due, http_date(now))
    yield from _drip(data[: len(data) - len(due.body)], fault)
    yield Send(due.body)


def drip_body(due: Reply, fault: Fault, now: float) -> Iterator[Step]:
    """The body in pieces of `size` bytes, one `every` so often."""
    data = whole(due, http_date(now))
    yield Send(data[: len(data) - len(due.body)])
    yield Wait(fault.every.total_seconds())
    yield from _drip(due.body, fault)


def split(due: Reply, fault: Fault, now: float) -> Iterator[Step]:
    """The whole reply in pieces of `size` bytes: reads of their own, but no drip."""
    yield from _drip(whole(due, http_date(now)), replace(fault, every=timedelta(milliseconds=1)))


def chunked(due: Reply, fault: Fault, now: float) -> Iterator[Step]:
    """Transfer-Encoding: chunked, in chunks of `size` bytes."""
    yield Send(head(due, http_date(now), "Transfer-Encoding: chunked"))
    for place in range(0, len(due.body), fault.size):
        yield Send(chunk(due.body[place : place + fault.size]))
    yield Send(chunk(b""))


def packed(due: Reply, _: Fault, now: float) -> Iterator[Step]:
    """Content-Encoding: gzip, asked for or not."""
    body = gzip.compress(due.body)
    framing = (f"Content-Length: {len(body)}", "Content-Encoding: gzip")
    yield Send(head(due, http_date(now), *framing) + body)


def unframed(due: Reply, _: Fault, now: float) -> Iterator[Step]:
    """Neither length nor chunks: the body ends with the connection."""
    yield Send(head(due, http_date(now)) + due.body)
    yield Close()


def wrong_type(due: Reply, fault: Fault, now: float) -> Iterator[Step]:
    """The right body under another content type, or under `headers`."""
    headers = fault.headers or (("Content-Type", "text/plain"),)
    yield Send(whole(replace(due, headers=headers), http_date(now)))


def interim(due: Reply, fault: Fault, now: float) -> Iterator[Step]:
    """An interim reply first: `code` where it is one (RFC 9110, 15.2), else 103."""
    code = fault.code if fault.code // 100 == 1 else _EARLY_HINTS
    yield Send(head(Reply(code, b"", (("Link", "</style.css>; rel=preload"),)), http_date(now)))
    yield Wait(0)
    yield Send(whole(due, http_date(now)))


def close(due: Reply, _: Fault, now: float) -> Iterator[Step]:
    """The reply with `Connection: close`, and the end."""
    yield Send(whole(due, http_date(now), close=True))
    yield Close()


def close_silently(due: Reply, fault: Fault, now: float) -> Iterator[Step]:
    """The reply as if the connection went on, and the end."""
    yield Send(whole(due, http_date(now)))
    yield Close(fault.reset)


def close_late(due: Reply, fault: Fault, now: float) -> Iterator[Step]:
    """The same, but only after `every`; what the caller sent meanwhile is not read."""
    yield Send(whole(due, http_date(now)))
    yield Wait(fault.every.total_seconds())
    yield Close(fault.reset)


def junk_after(due: Reply, fault: Fault, now: float) -> Iterator[Step]:
    """The reply, and behind it the bytes of `body` (or junk) that nobody asked for."""
    yield Send(whole(due, http_date(now)) + (fault.body or JUNK))


def _drip(data: bytes, fault: Fault) -> Iterator[Step]:
    for place in range(0, len(data), fault.size):
        if place:
            yield Wait(fault.every.total_seconds())
        yield Send(data[place : place + fault.size])
