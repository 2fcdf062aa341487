"""What the ops HTTP server answers: a request's head in, a whole response out."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

log = structlog.get_logger()

PATHS = ("/livez", "/readyz", "/lanes", "/metrics")
_TEXT = "text/plain; charset=utf-8"
_JSON = "application/json"
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
_REQUEST = re.compile(rb"([A-Za-z]{1,20}) ([\x21-\x7e]{1,4000}) HTTP/1\.[0-9]\r?\n")


@dataclass(frozen=True, slots=True)
class Probes:
    """What can be asked of the worker.

    Each is called on the server's thread, so it must neither block nor wait for a lock: it has to
    answer when everything else is stuck.
    """

    live: Callable[[], str | None]
    """None when alive, else why not."""
    ready: Callable[[], str | None]
    """None when ready, else why not."""
    notes: Callable[[], tuple[str, ...]]
    """What to know of a worker that is ready all the same, a sentence each."""
    lanes: Callable[[], Mapping[str, object]]
    """JSON: account to the state of its lane."""
    metrics: Callable[[], bytes]
    """Prometheus' text format, version 0.0.4."""


def answer(head: bytes, probes: Probes) -> bytes:
    """The response to a request's first lines; trouble of any kind is a response too."""
    found = _REQUEST.match(head)
    if found is None:
        return refusal(HTTPStatus.BAD_REQUEST)
    method, path = found[1].decode(), found[2].decode().partition("?")[0]
    if method not in {"GET", "HEAD"}:
        return _response(HTTPStatus.METHOD_NOT_ALLOWED, _TEXT, b"GET or HEAD\n", "Allow: GET, HEAD")
    try:
        status, kind, body = _answer(path, probes)
    except Exception:
        log.exception("probe_failed", path=path)
        status, kind, body = HTTPStatus.INTERNAL_SERVER_ERROR, _TEXT, b"the probe itself failed\n"
    return _response(status, kind, body, with_body=method == "GET")


def refusal(status: HTTPStatus) -> bytes:
    """A response that only says what is wrong with the request."""
    return _response(status, _TEXT, f"{status.phrase}\n".encode())


def _answer(path: str, probes: Probes) -> tuple[HTTPStatus, str, bytes]:
    match path:
        case "/livez":
            return _health(probes.live())
        case "/readyz":
            return _health(probes.ready(), probes.notes())
        case "/lanes":
            text = json.dumps(probes.lanes(), indent=2, ensure_ascii=False, allow_nan=False)
            return HTTPStatus.OK, _JSON, text.encode(errors="backslashreplace") + b"\n"
        case "/metrics":
            return HTTPStatus.OK, _PROMETHEUS, probes.metrics()
        case _:
            return HTTPStatus.NOT_FOUND, _TEXT, "\n".join((*PATHS, "")).encode()


def _health(trouble: str | None, notes: tuple[str, ...] = ()) -> tuple[HTTPStatus, str, bytes]:
    status = HTTPStatus.OK if trouble is None else HTTPStatus.SERVICE_UNAVAILABLE
    lines = (trouble or "ok", *(f"note: {note}" for note in notes), "")
    return status, _TEXT, "\n".join(lines).encode(errors="backslashreplace")


def _response(
    status: HTTPStatus, kind: str, body: bytes, *more: str, with_body: bool = True
) -> bytes:
    lines = (
        f"HTTP/1.1 {status.value} {status.phrase}",
        f"Date: {formatdate(usegmt=True)}",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "Connection: close",
        *more,
        "\r\n",
    )
    return "\r\n".join(lines).encode() + (body if with_body else b"")
