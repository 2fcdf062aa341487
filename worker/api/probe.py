"""A look at the API's host without calling taskEdit, for `taskedit doctor`."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from worker.api.broken import BrokenCallError
from worker.api.detour import Detour
from worker.api.dial import Origin, dial
from worker.api.head import head, prepared
from worker.api.wire import Wire
from worker.core.answer import http_date

if TYPE_CHECKING:
    import socket

    from requests import PreparedRequest

    from worker.account import Endpoint
    from worker.api.reader import HttpReply


@dataclass(frozen=True, slots=True)
class Probe:
    """What was seen of the API's host."""

    reached: bool
    """It took a connection (its certificate verified, if https) and answered in HTTP."""
    detail: str
    """One sentence, free of secrets: what was reached, or why not and what to do."""
    skew: timedelta | None = None
    """How far this machine's clock is ahead of the host's `Date`, to half a second; None if the
    host told none."""
    certificate_ends: datetime | None = None
    """When the host's certificate expires; None if not https, or seen through a proxy."""


def probe(endpoint: Endpoint) -> Probe:
    """One HEAD request for the API's base address, without credentials, on a new connection.

    `ValueError` for an endpoint that cannot be used at all (see `Client`).
    """
    request = prepared("HEAD", endpoint.url)
    began = datetime.now(UTC)
    try:
        reply, ends = _reply(request, endpoint)
    except BrokenCallError as error:
        return Probe(reached=False, detail=error.detail)
    middle = began + (datetime.now(UTC) - began) / 2
    date = http_date(reply.headers.get("date", ""))
    # Date has whole seconds, the rest cut off: half a second old on average when it is made.
    skew = middle - date - timedelta(seconds=0.5) if date else None
    place = Origin.of(str(request.url)).place
    return Probe(
        reached=True,
        detail=f"{place} answers (HTTP {reply.code})",
        skew=skew,
        certificate_ends=ends,
    )


def _reply(request: PreparedRequest, endpoint: Endpoint) -> tuple[HttpReply, datetime | None]:
    if endpoint.proxy is not None:
        detour = Detour(request, endpoint)
        try:
            return detour.exchange({}, b""), None
        finally:
            detour.close()
    origin = Origin.of(str(request.url))
    sock = dial(origin, endpoint.ca_file, endpoint.connect_timeout.total_seconds())
    wire = Wire(sock)
    try:
        ends = _certificate_end(sock)
        seconds = endpoint.call_timeout.total_seconds()
        return wire.exchange(head(request) + b"\r\n", seconds, headless=True), ends
    finally:
        wire.close()


def _certificate_end(sock: socket.socket) -> datetime | None:
    certificate = sock.getpeercert() if isinstance(sock, ssl.SSLSocket) else None
    if not certificate:
        return None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)
