"""The console as an ASGI application, and the server that runs it.

Every request passes `Guard` first: it decides who may go on, and puts the headers on every answer.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from worker.console import wording
from worker.console.api import Api
from worker.console.model import RefusedError, UnavailableError
from worker.console.pages import Pages
from worker.console.rendering import Renderer, here

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from worker.console.access import Access, Refusal
    from worker.console.data import Console
    from worker.settings.console import ConsoleSettings

log = structlog.get_logger()

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    # Not no-referrer: then browsers say `Origin: null` of our own forms.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
_CONNECTIONS_AT_MOST: Final = 500
_ENDS_WITHIN: Final = 2
"""Seconds that answers under way have when the console ends."""
_HEADERS_AT_MOST: Final = 32 * 1024


def application(console: Console, access: Access, ending: asyncio.Event, title: str) -> ASGIApp:
    """The whole console. Once `ending` is set, pages are told of nothing any more."""
    renderer = Renderer(console, title)
    failures = Failures(renderer)
    app = Starlette(
        routes=[*Pages(console, access, renderer, ending).routes(), *Api(console).routes()],
        exception_handlers=dict.fromkeys(
            (HTTPException, UnavailableError, RefusedError, Exception), failures.told
        ),
    )
    app.router.redirect_slashes = False
    return Guard(app, access, failures)


class Guard:
    """Lets through who may pass, and puts the headers on every answer."""

    def __init__(self, app: ASGIApp, access: Access, failures: Failures) -> None:
        self._app = app
        self._access = access
        self._failures = failures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_begun = False

        async def guarded(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "private, no-cache")
            await send(message)

        request = Request(scope, receive)
        person = scope["person"] = self._access.person(request)
        refusal = self._access.refusal(request, person)
        if refusal is not None:
            await self._failures.refusal(request, refusal)(scope, receive, guarded)
            return
        try:
            await self._app(scope, receive, guarded)
        except Exception:  # told where everything else is told; the page has said that it failed
            log.exception("console_request_failed", path=scope["path"])
            if not has_begun:
                raise


class Failures:
    """Why something was not done: as a page for people, by RFC 9457 for programs."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer

    def answer(
        self, request: Request, status: int, kind: str, facts: Mapping[str, object] | None = None
    ) -> Response:
        """The answer that says it."""
        known = {"title": HTTPStatus(status).phrase, "status": status, "kind": kind}
        facts = {name: value for name, value in (facts or {}).items() if value is not None}
        if request.scope["path"].startswith("/api/"):
            detail = wording.failure(kind, facts, str)
            problem = {"type": "about:blank", **known, "detail": detail, **facts}
            text = json.dumps(problem, default=str)
            return Response(text, status, media_type="application/problem+json")
        return self._renderer.page(request, "error.html", status=status, kind=kind, facts=facts)

    def refusal(self, request: Request, refusal: Refusal) -> Response:
        """Of somebody who may not pass. A browser that may only have to sign in is led there."""
        path = request.scope["path"]
        is_page = request.method == "GET" and "hx-request" not in request.headers
        if refusal.kind != "sign_in" or not is_page or path.startswith("/api/"):
            return self.answer(request, refusal.status, refusal.kind)
        if request.headers.get("sec-fetch-site") == "cross-site":
            # A link in an alert: SameSite=Strict kept the cookie back, but not from our own page.
            return self._renderer.page(request, "bounce.html")
        return RedirectResponse(f"/sign-in?next={quote(here(request))}", 303)

    async def told(self, request: Request, error: Exception) -> Response:
        """The answer to a request that ended in an exception; `Guard` logs those that are bugs."""
        match error:
            case HTTPException(status_code=status):
                return self.answer(request, status, f"http_{status}")
            case UnavailableError(why=why, since=since):
                return self.answer(request, 503, "unavailable", {"why": why, "since": since})
            case RefusedError(kind=kind, facts=facts):
                return self.answer(request, 409, kind, facts)
            case _:
                return self.answer(request, 500, "bug")


class _Server(uvicorn.Server):
    """Leaves signals to us: uvicorn would raise them again at the end, which is no exit code 0."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listening(settings: ConsoleSettings) -> socket.socket:
    """A socket at the console's address; raises `OSError` when that is taken or not ours.

    A Unix socket can be opened by our user and group only: whoever can is believed.
    """
    if isinstance(settings.address, Path):
        settings.address.unlink(missing_ok=True)
        made = socket.socket(socket.AF_UNIX)
        before = os.umask(0o117)
        try:
            made.bind(str(settings.address))
        finally:
            os.umask(before)
        made.listen()
    else:
        family = socket.AF_INET6 if ":" in settings.address[0] else socket.AF_INET
        made = socket.create_server(settings.address, family=family)
    made.setblocking(False)  # noqa: FBT003 (socket's own signature)
    return made


async def serve(
    console: Console,
    access: Access,
    settings: ConsoleSettings,
    at: socket.socket,
    title: str,
    ending: asyncio.Event,
) -> None:
    """Answer requests until `ending` is set, and those under way a little longer."""
    server = _Server(
        uvicorn.Config(
            application(console, access, ending, title),
            http="h11",
            ws="none",
            lifespan="off",
            loop="none",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=_CONNECTIONS_AT_MOST,
            timeout_graceful_shutdown=_ENDS_WITHIN,
            h11_max_incomplete_event_size=_HEADERS_AT_MOST,
            ssl_certfile=settings.certificate,
            ssl_keyfile=settings.certificate_key,
        )
    )
    serving = asyncio.create_task(server.serve([at]))
    await ending.wait()
    server.should_exit = True
    await serving
