"""`taskedit run`, instrumented as OpenTelemetry's instrumentation of requests does it.

`python -m tests.acceptance.instrumented run` writes a line ``sent METHOD HTTP-STATUS ADAPTER`` to
standard error for each `requests.Session.send`, and adds a header to what is sent.
"""

from __future__ import annotations

import sys
from typing import Any

import requests

from worker.cli import main

ours = requests.Session.send


def seen(
    self: requests.Session,
    request: requests.PreparedRequest,
    **how: Any,  # noqa: ANN401 - what Session.send takes
) -> requests.Response:
    """Send it, and say so."""
    request.headers["X-Seen"] = "yes"
    reply = ours(self, request, **how)
    adapter = type(self.get_adapter(str(request.url))).__name__
    sys.stderr.write(f"sent {request.method} {reply.status_code} {adapter}\n")
    sys.stderr.flush()
    return reply


if __name__ == "__main__":
    requests.Session.send = seen  # type: ignore[method-assign]
    main()
