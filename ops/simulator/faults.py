"""Faults: a reply that goes wrong, as a series of steps for the connection to play.

Pure: a fault takes the reply that was due and gives steps; sockets are elsewhere.
A fault of `UNDONE` replaces the reply and the edit is not applied; any other bends
the reply of an edit that was judged as usual.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta

from ops.simulator.reply import Reply, head, http_date, retry_after, spring_error, whole

_MIB = 1024 * 1024
_HTML = b"<!DOCTYPE html><html><head><title>Gateway</title></head><body><h1>Oops</h1></body></html>"
_JUNK = bytes(range(256)) * 4


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong. Only the parts that `kind` reads matter; see README.md.

    `code`, `form`, `retry_after`, `headers`, `body`: of a replaced reply (`form`:
    json, spring, html, empty, or the body as given). `every`: between two drips.
    `size`: MiB of a bomb, bytes of a piece. `reset`: end with RST instead of FIN.
    """

    kind: str
    code: int = 503
    form: str = "spring"
    retry_after: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    every: timedelta = field(default=timedelta(milliseconds=100))
    size: int = 1
    reset: bool = False


@dataclass(frozen=True, slots=True)
class Send:
    """Write these bytes."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Wait:
    """Let this time pass, in seconds (0: let others have a turn)."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Hang:
    """Do nothing until the caller has left."""


@dataclass(frozen=True, slots=True)
class Close:
    """End the connection, with RST when `reset`."""

    reset: bool = False


Step = Send | Wait | Hang | Close
Play = Callable[[Reply, Fault, float], Iterator[Step]]


def steps(fault: Fault, due: Reply, now: float) -> Iterator[Step]:
    """How the connection is to act; `due` is the usual reply, `now` the provider's epoch."""
    return PLAYS[fault.kind](due, fault, now)


def code(fault: Fault, due: Reply) -> int:
    """The HTTP status that the caller gets to see, 0 for none."""
    if fault.kind in {"http", "wrong_type"} | _FIXED.keys():
        return _FIXED.get(fault.kind, fault.code if fault.kind == "http" else due.code)
    return 0 if fault.kind in _SILENT else due.code


def _http(_: Reply, fault: Fault, now: float) -> Iterator[Step]:
    yield Send(whole(_replaced(fault, now), http_date(now)))


def _replaced(fault: Fault, now: float) -> Reply:
    extra = fault.headers
    if fault.retry_after is not None:
        extra = (*extra, ("Retry-After", retry_after(fault.retry_after, now)))
    if fault.form == "spring":
        reply = spring_error(fault.code, "/aivoice/taskEdit", now)
    elif fault.form == "json":
        reply = Reply(fault.code, b'{"status": "-5", "reason": "system error", "data": null}')
    elif fault.form == "html":
        reply = Reply(fault.code, _HTML, (("Content-Type", "text/html"),))
    else:
        reply = Reply(
            fault.code,
            fault.body,
            () if fault.form == "empty" else (("Content-Type", "application/json"),),
        )
    return replace(reply, headers=reply.headers + extra)


def _html(_: Reply, fault: Fault, now: float) -> Iterator[Step]:
    yield Send(whole(_replaced(replace(fault, code=200, form="html"), now), http_date(now)))


def _redirect(_: Reply, fault: Fault, now: float) -> Iterator[Step]:
    target = fault.body.decode("latin-1") or "/aivoice/elsewhere"
    yield Send(whole(Reply(302, b"", (("Location", target),)), http_date(now)))


def _no_content(_: Reply, __: Fault, now: float) -> Iterator[Step]:
    yield Send(whole(Reply(204, b"", ()), http_date(now)))


def _body(due: Reply, fault: Fault, now: float) -> Iterator[Step]:
    yield Send(whole(replace(due, code=200, body=fault.body), http_date(now)))


def _raw(_: Reply, fault: Fault, __: float) -> Iterator[Step]:
    yield Send(fault.body or _JUNK)
    yield Close(fault.reset)


def _drop(_: Reply, fault: Fault, __: float) -> Iterator[Step]:
    yield Close(fault.reset)


def _drop_mid_reply(due: Reply, fault: Fault, now: float) -> Iterator[Step]:
    data = whole(due, http_date(now))
    yield Send(data[: len(data) - max(1, len(due.body) // 2)])
    yield Close(fault.reset)


def _drop_mid_headers(due: Reply, fault: Fault, now: float) -> Iterator[Step]:
    yield Send(head(due, http_date(now))[:40])
    yield Close(fault.reset)


def _stall(_: Reply, __: Fault, ___: float) -> Iterator[Step]:
    yield Hang()


def _drip(data: bytes, fault: Fault) -> Iterator[Step]:
    for place in range(0, len(data), fault.size):
        if place:
            yield Wait(fault.every.total_seconds())
        yield Send(data[place : place + fault.size])


def _drip_headers(due: Reply, fault: Fault, now: float) -> Iterator[Step]:
    data = whole(due, http_date(now))
    yield from _drip(data[: len(data) - len(due.body)], fault)
    yield Send(due.body)


def _drip_body(due: Reply, fault: Fault, now: float) -> Iterator[Step]:
    data = whole(due, http_date(now))
    yield Send(data[: len(data) - len(due.body)])
    yield Wait(fault.every.total_seconds())
    yield from _drip(due.body, fault)


def _split(due: Reply, fault: Fault, now: float) -> Iterator[Step]:
    # Far apart enough to be reads of their own, near enough to be no drip.
    yield from _drip(whole(due, http_date(now)), replace(fault, every=timedelta(milliseconds=1)))


def _endless_headers(due: Reply, _: Fault, now: float) -> Iterator[Step]:
    yield Send(head(due, http_date(now))[:-2])
    while True:
        yield Send(b"X-Filler: " + b"a" * 1000 + b"\r\n")
        yield Wait(0)


def _endless_body(due: Reply, _: Fault, now: float) -> Iterator[Step]:
    yield Send(head(due, http_date(now), "Transfer-Encoding: chunked"))
    yield Send(_chunk(b'{"status": "0", "reason": "'))
    while True:
        yield Send(_chunk(b"a" * 16384))
        yield Wait(0)


def _gzip_bomb(due: Reply, fault: Fault, now: float) -> Iterator[Step]:
    """A valid gzip of valid JSON: status 0, and a reason of `size` MiB of spaces."""
    headers = ("Transfer-Encoding: chunked", "Content-Encoding: gzip")
    yield Send(head(due, http_date(now), *headers))
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    yield from _packed(packer.compress(b'{"status": "0", "reason": "'))
    block = b" " * _MIB
    for _ in range(fault.size):
        yield from _packed(packer.compress(block))
        yield Wait(0)
    yield from _packed(packer.compress(b'", "data": null}') + packer.flush())
    yield Send(b"0\r\n\r\n")


def _packed(data: bytes) -> Iterator[Step]:
    if data:
        yield Send(_chunk(data))


def _gzip(due: Reply, _: Fault, now: float) -> Iterator[Step]:
    packed = replace(due, body=gzip.compress(due.body))
    yield Send(
        head(
            packed, http_date(now), f"Content-Length: {len(packed.body)}", "Content-Encoding: gzip"
        )
        + packed.body
    )


def _wrong_type(due: Reply, fault: Fault, now: float) -> Iterator[Step]:
    headers = fault.headers or (("Content-Type", "text/plain"),)
    yield Send(whole(replace(due, headers=headers), http_date(now)))


def _chunked(due: Reply, fault: Fault, now: float) -> Iterator[Step]:
    yield Send(head(due, http_date(now), "Transfer-Encoding: chunked"))
    size = max(1, fault.size)
    for place in range(0, len(due.body), size):
        yield Send(_chunk(due.body[place : place + size]))
    yield Send(b"0\r\n\r\n")


def _unframed(due: Reply, _: Fault, now: float) -> Iterator[Step]:
    yield Send(head(due, http_date(now)) + due.body)
    yield Close()


def _close(due: Reply, _: Fault, now: float) -> Iterator[Step]:
    yield Send(whole(due, http_date(now), close=True))
    yield Close()


def _close_silently(due: Reply, fault: Fault, now: float) -> Iterator[Step]:
    yield Send(whole(due, http_date(now)))
    yield Close(fault.reset)


def _interim(due: Reply, fault: Fault, now: float) -> Iterator[Step]:
    first = fault.code if 100 <= fault.code < 200 else 103  # noqa: PLR2004 - RFC 9110, 15.2
    yield Send(head(Reply(first, b"", (("Link", "</style.css>; rel=preload"),)), http_date(now)))
    yield Wait(0)
    yield Send(whole(due, http_date(now)))


def _junk_after(due: Reply, fault: Fault, now: float) -> Iterator[Step]:
    yield Send(whole(due, http_date(now)) + (fault.body or _JUNK))


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


PLAYS: dict[str, Play] = {
    "http": _http,
    "html": _html,
    "redirect": _redirect,
    "no_content": _no_content,
    "body": _body,
    "raw": _raw,
    "drop_after_reading": _drop,
    "drop_before_reply": _drop,
    "drop_mid_headers": _drop_mid_headers,
    "drop_mid_reply": _drop_mid_reply,
    "stall": _stall,
    "drip_headers": _drip_headers,
    "drip_body": _drip_body,
    "split": _split,
    "endless_headers": _endless_headers,
    "endless_body": _endless_body,
    "gzip_bomb": _gzip_bomb,
    "gzip": _gzip,
    "wrong_type": _wrong_type,
    "chunked": _chunked,
    "unframed": _unframed,
    "close": _close,
    "close_silently": _close_silently,
    "interim": _interim,
    "junk_after": _junk_after,
}
# The edit is not applied, and the due reply is never seen.
UNDONE = frozenset(
    {"http", "html", "redirect", "no_content", "body", "raw", "drop_after_reading", "stall"}
    | {"endless_headers", "endless_body", "gzip_bomb"}
)
# These strike before any latency: the request has been read and that was it.
AT_ONCE = frozenset({"drop_after_reading"})
_SILENT = frozenset({"raw", "drop_after_reading", "drop_before_reply", "drop_mid_headers", "stall"})
_FIXED = {"html": 200, "redirect": 302, "no_content": 204}
