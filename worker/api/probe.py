"""A look at the API without an edit, for `taskedit doctor`."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from requests.exceptions import RequestException

from worker.api.adapter import head
from worker.api.client import prepared
from worker.api.connect import Route, TlsInTls, connect
from worker.api.http1 import HttpConnection
from worker.core.reply import answer, http_date

if TYPE_CHECKING:
    import socket

    from worker.account import Endpoint
    from worker.core.reply import Reply

NOTHING = b"{}"
"""An edit without a job, which the API cannot carry out."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What was seen of the API."""

    reached: bool
    """It took a connection (its certificate verified, if https) and answered in HTTP."""
    detail: str
    """One sentence, free of secrets: what was reached, or why not and what to do."""
    reply: Reply | None = None
    """What taskEdit said to a request without credentials; None if nothing was reached."""
    skew: timedelta | None = None
    """How far this machine's clock is ahead of the host's `Date`, to half a second; None if the
    host told none."""
    certificate_ends: datetime | None = None
    """When the host's certificate expires; None if not https."""


def probe(endpoint: Endpoint) -> Probe:
    """One empty request to taskEdit, without credentials and so no edit, on a new connection.

    `ValueError` for an endpoint that cannot be used at all (see `Client`).
    """
    content = {"Content-Type": "application/json;charset=UTF-8"}
    request = prepared("POST", endpoint.task_edit_url, content)
    route = Route.of(str(request.url), endpoint.proxy)
    began = datetime.now(UTC)
    try:
        sock = connect(route, endpoint.ca_file, endpoint.connect_timeout.total_seconds())
        connection = HttpConnection(sock)
        try:
            ends = _certificate_end(sock) if route.target.secure else None
            seconds = endpoint.call_timeout.total_seconds()
            reply = connection.exchange(head(request, NOTHING, route) + NOTHING, seconds)
        finally:
            connection.close()
    except RequestException as error:
        return Probe(reached=False, detail=str(error))
    middle = began + (datetime.now(UTC) - began) / 2
    headers = dict(reply.headers)
    date = http_date(headers.get("date", ""))
    # Date has whole seconds, the rest cut off: half a second old on average when it is made.
    skew = middle - date - timedelta(seconds=0.5) if date else None
    return Probe(
        reached=True,
        detail=f"{route.place} answers (HTTP {reply.code})",
        reply=answer(reply.code, headers, reply.body, now=began),
        skew=skew,
        certificate_ends=ends,
    )


def _certificate_end(sock: socket.socket | TlsInTls) -> datetime | None:
    certificate = sock.getpeercert() if isinstance(sock, ssl.SSLSocket | TlsInTls) else None
    if not certificate:
        return None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)
