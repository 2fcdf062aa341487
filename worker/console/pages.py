"""The pages: each is a function from a request to an answer, and all work without JavaScript."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from worker.console import forms
from worker.console.access import LONGEST_SESSION, SESSION_COOKIE
from worker.console.data import SHOWN
from worker.console.model import PlanAction, RefusedError, RunOptions, SearchResult
from worker.console.rendering import LANGUAGES, THEMES
from worker.settings import texts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from worker.console.access import Access
    from worker.console.data import Console
    from worker.console.rendering import Renderer

ROWS: Final = 50
"""Rows of a page."""
BEAT_EVERY: Final = 2.0
"""Seconds between two signs that the stream of changes is alive."""
LOOKS_FOR: Final = 15.0
"""Seconds that a page without a stream counts as being looked at."""
_FOREVER: Final = 365 * 24 * 3600
_LONGEST_TEXT: Final = 1000
_PERCENT: Final = 100


class Pages:
    """Every page, and the forms on them."""

    def __init__(
        self, console: Console, access: Access, renderer: Renderer, ending: asyncio.Event
    ) -> None:
        self._console = console
        self._access = access
        self._renderer = renderer
        self._page = renderer.page
        self._ending = ending

    def routes(self) -> list[Route]:
        """Where each page is."""
        get, post = ["GET"], ["POST"]
        return [
            Route("/", self.now, methods=get),
            Route("/accounts/{name}", self.account, methods=get),
            Route("/accounts/{name}/pause", self.pause, methods=post),
            Route("/accounts/{name}/resume", self.resume, methods=post),
            Route("/dead", self.dead, methods=get),
            Route("/dead/letters", self.letters, methods=get),
            Route("/dead/letters/{key}", self.letter, methods=get),
            Route("/dead/letters/{key}/body", self.letter_body, methods=get),
            Route("/dead/letters/{key}/mend", self.mend, methods=["GET", "POST"]),
            Route("/plans", self.make_plan, methods=post),
            Route("/plans/{id}", self.plan, methods=get),
            Route("/plans/{id}/run", self.run_plan, methods=post),
            Route("/operations", self.operations, methods=get),
            Route("/operations/{id}", self.operation, methods=get),
            Route("/operations/{id}/stop", self.stop, methods=post),
            Route("/operations/{id}/go-on", self.go_on, methods=post),
            Route("/jobs/{number}", self.job, methods=get),
            Route("/search", self.search, methods=get),
            Route("/events", self.events, methods=get),
            Route("/check", self.check, methods=get),
            Route("/sign-in", self.sign_in, methods=["GET", "POST"]),
            Route("/sign-out", self.sign_out, methods=post),
            Route("/preferences", self.preferences, methods=post),
            Route("/live", self.live, methods=get),
            Route("/healthz", self.healthz, methods=get),
            Route("/static/{name}", self.static, methods=get),
        ]

    def _looked(self) -> None:
        """Somebody looks, and without scripts does so again ten seconds later."""
        watching = self._console.watched()
        watching.__enter__()
        later = asyncio.get_running_loop().call_later
        later(LOOKS_FOR, watching.__exit__, None, None, None)

    # The fleet

    async def now(self, request: Request) -> Response:
        """Troubles, accounts and replicas."""
        return self._page(request, "now.html")

    async def account(self, request: Request) -> Response:
        """Why it is as it is, what came of its calls, and pause or resume."""
        found = forms.existing(await self._console.account(request.path_params["name"]))
        by_hand = request.query_params.get("by") == "hand"
        heeded = await self._console.heeded_by(found.name)
        return self._page(request, "account.html", account=found, by_hand=by_hand, heeded=heeded)

    async def pause(self, request: Request) -> Response:
        """Pause an account."""
        name, form = request.path_params["name"], await forms.form(request)
        why, period = _text(form, "why"), _text(form, "for")
        if not why:
            raise RefusedError("why_missing")
        try:
            until = forms.end_of(period)
        except ValueError:
            raise RefusedError("period") from None
        await self._same_pause(request, name, None)
        await self._console.pause(name, by=forms.name_of(request), why=why, until=until)
        return _to(f"/accounts/{name}")

    async def resume(self, request: Request) -> Response:
        """Resume an account."""
        name, form = request.path_params["name"], await forms.form(request)
        if "since" in form:
            await self._same_pause(request, name, form["since"])
        await self._console.resume(name, by=forms.name_of(request), why=_text(form, "why") or None)
        return _to(f"/accounts/{name}")

    async def _same_pause(self, request: Request, name: str, since: str | None) -> None:
        """Refuse to touch another's pause but the one that the form showed: that of `since`."""
        account = await self._console.account(name)
        pause = account.paused if account else None
        if pause is None or pause.by == forms.name_of(request):
            return
        if pause.since.isoformat() != since:
            raise RefusedError("paused_meanwhile", by=pause.by)

    # Dead letters

    async def dead(self, request: Request) -> Response:
        """Dead letters in groups."""
        self._looked()
        filter_ = forms.letter_filter(request.query_params)
        by = forms.grouped_by(request.query_params)
        groups = await self._console.groups(by, filter_)
        return self._page(
            request, "dead.html", groups=groups, by=by, bys=forms.GROUPED_BY, filter=filter_
        )

    async def letters(self, request: Request) -> Response:
        """Dead letters one by one."""
        self._looked()
        filter_ = forms.letter_filter(request.query_params)
        cursor = request.query_params.get("after")
        found = await self._console.letters(filter_, cursor, ROWS)
        return self._page(request, "letters.html", found=found, filter=filter_)

    async def letter(self, request: Request) -> Response:
        """One dead letter."""
        found = forms.existing(await self._console.letter(request.path_params["key"]))
        return self._page(request, "letter.html", letter=found)

    async def letter_body(self, request: Request) -> Response:
        """A letter's body byte for byte, as a file to save: never a page."""
        found = forms.existing(await self._console.letter(request.path_params["key"]))
        headers = {"content-disposition": 'attachment; filename="letter.bin"'}
        return Response(found.body, headers=headers, media_type="application/octet-stream")

    async def mend(self, request: Request) -> Response:
        """An editor for a letter's body, what the worker would say of it, and the difference."""
        key = request.path_params["key"]
        found = forms.existing(await self._console.letter(key))
        form = await forms.form(request) if request.method == "POST" else {}
        text = form.get("body")
        check = found.check if text is None else await self._console.check_mend(key, text)
        if text is not None and check.is_good and form.get("do") == "plan":
            plan = await self._console.plan(
                "mend", by=forms.name_of(request), keys=(key,), mended={key: text}
            )
            return _to(f"/plans/{plan.id}")
        return self._page(request, "mend.html", letter=found, text=text, check=check)

    # Plans and operations

    async def make_plan(self, request: Request) -> Response:
        """A plan for the letters of the address's filter, or for one of them."""
        form = await forms.form(request)
        action: PlanAction = "discard" if form.get("action") == "discard" else "redrive"
        key = form.get("key")
        plan = await self._console.plan(
            action,
            by=forms.name_of(request),
            filter_=forms.letter_filter(request.query_params) if key is None else None,
            keys=None if key is None else (key,),
            even_if_superseded=form.get("even_if_superseded") == "yes",
        )
        return _to(f"/plans/{plan.id}")

    async def plan(self, request: Request) -> Response:
        """What is going to become of each letter, and the buttons that begin it."""
        found = await self._console.plan_of(request.path_params["id"])
        if found is None:
            raise RefusedError("plan_unknown")
        return self._page(request, "plan.html", plan=found)

    async def run_plan(self, request: Request) -> Response:
        """Begin what a plan says; a second time leads to the same operation."""
        form = await forms.form(request)
        operation = await self._console.run(
            request.path_params["id"], run_options(form), by=forms.name_of(request)
        )
        return _to(f"/operations/{operation.id}")

    async def operations(self, request: Request) -> Response:
        """Who did what."""
        found = await self._console.operations(request.query_params.get("after"), ROWS)
        return self._page(request, "operations.html", found=found)

    async def operation(self, request: Request) -> Response:
        """One operation, and how far it is."""
        found = forms.existing(await self._console.operation(request.path_params["id"]))
        return self._page(request, "operation.html", operation=found)

    async def stop(self, request: Request) -> Response:
        """Stop an operation: no further letter is sent."""
        operation = await self._console.stop(request.path_params["id"], by=forms.name_of(request))
        return _to(f"/operations/{operation.id}")

    async def go_on(self, request: Request) -> Response:
        """A plan for what an interrupted operation left."""
        plan = await self._console.go_on(request.path_params["id"], by=forms.name_of(request))
        return _to(f"/plans/{plan.id}")

    # Jobs, events, checks

    async def job(self, request: Request) -> Response:
        """What became of a job's edits."""
        number = forms.existing(forms.job_id(request.path_params["number"]))
        found = await self._console.job(number)
        return self._page(request, "job.html", job=found, shown=SHOWN)

    async def search(self, request: Request) -> Response:
        """What a text may mean; a single thing is gone to at once."""
        text = request.query_params.get("q", "").strip()[:_LONGEST_TEXT]
        number = forms.job_id(text.lstrip("0"))
        found = await self._console.search(text) if text else None
        if number is not None and found == SearchResult():
            return _to(f"/jobs/{number}")
        if found is not None and number is None and not found.events:
            if len(found.accounts) == 1 and not found.letters:
                has_page = await self._console.account(found.accounts[0]) is not None
                if has_page:
                    return _to(f"/accounts/{found.accounts[0]}")
            if len(found.letters) == 1 and not found.accounts:
                return _to(f"/dead/letters/{found.letters[0].key}")
        return self._page(request, "search.html", text=text, found=found, number=number)

    async def events(self, request: Request) -> Response:
        """Events, the newest first."""
        filter_ = forms.event_filter(request.query_params)
        found = await self._console.events(filter_, request.query_params.get("after"), ROWS)
        return self._page(request, "events.html", found=found, filter=filter_)

    async def check(self, request: Request) -> Response:
        """RabbitMQ and the topology, looked at now."""
        return self._page(request, "check.html", rows=await self._console.check())

    # Whoever looks

    async def sign_in(self, request: Request) -> Response:
        """A form for code or password; a good one begins a session."""
        if request.method == "GET":
            there = forms.local_path(request.query_params.get("next"))
            return self._sign_in_page(request, there, request.query_params.get("code", ""))
        form = await forms.form(request)
        there = forms.local_path(form.get("next"))
        begun = await self._access.sign_in(
            form.get("name", ""), form.get("password", ""), form.get("code", "")
        )
        if begun is None:
            return self._sign_in_page(request, there, "", status=403)
        answer = _to(there)
        self._cookie(answer, SESSION_COOKIE, begun[0], int(LONGEST_SESSION), is_ours=True)
        return answer

    async def sign_out(self, request: Request) -> Response:
        """End the session."""
        self._access.sign_out(request)
        answer = _to("/sign-in")
        answer.delete_cookie(SESSION_COOKIE)
        return answer

    async def preferences(self, request: Request) -> Response:
        """Language, colours and time zone of whoever looks, kept by their browser."""
        form = await forms.form(request)
        answer = _to(forms.local_path(form.get("back")))
        for name, known in (("language", tuple(LANGUAGES)), ("theme", THEMES)):
            if form.get(name) in known:
                self._cookie(answer, name, form[name], _FOREVER, is_ours=False)
        return answer

    async def live(self, request: Request) -> Response:
        """The parts of pages that change, as server-sent events, while somebody may look."""
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(self._changes(request), 200, headers, "text/event-stream")

    async def healthz(self, request: Request) -> Response:
        """Alive; RabbitMQ may be away all the same."""
        del request
        answers = "answers" if self._console.is_up else "does not answer"
        return PlainTextResponse(f"ok; RabbitMQ {answers}\n")

    async def static(self, request: Request) -> Response:
        """A style sheet or a script."""
        return forms.existing(self._renderer.static(request.path_params["name"]))

    def _sign_in_page(
        self, request: Request, there: str, code: str, *, status: int = 200
    ) -> Response:
        return self._page(
            request,
            "sign_in.html",
            status=status,
            by_code=self._access.settings.by_code,
            by_name=bool(self._access.settings.users),
            code=code[:20],
            failed=status != 200,  # noqa: PLR2004 (OK)
            there=there,
        )

    def _cookie(
        self, answer: Response, name: str, value: str, seconds: int, *, is_ours: bool
    ) -> None:
        """`is_ours`: no script may read it."""
        settings = self._access.settings
        answer.set_cookie(
            name,
            value,
            max_age=seconds,
            secure=settings.certificate is not None or bool(settings.proxies),
            httponly=is_ours,
            samesite="strict",
        )

    async def _changes(self, request: Request) -> AsyncIterator[str]:
        changes = self._console.changes()
        ending = asyncio.create_task(self._ending.wait())
        following = asyncio.ensure_future(anext(changes))
        try:
            with self._console.watched():
                yield "retry: 2000\n\n"
                while not ending.done():
                    await asyncio.wait(
                        {following, ending}, timeout=BEAT_EVERY, return_when=asyncio.FIRST_COMPLETED
                    )
                    if self._access.person(request, is_new=False) is None:
                        return  # the parts would be refused too: the page is not to say "live"
                    if following.done():
                        yield f"event: parts\ndata: {' '.join(sorted(following.result()))}\n\n"
                        following = asyncio.ensure_future(anext(changes))
                    else:
                        yield "event: beat\ndata:\n\n"
        finally:
            following.cancel()
            ending.cancel()


def run_options(form: dict[str, str]) -> RunOptions:
    """How a plan is to be run, from the form on its page."""
    rate, share = _text(form, "rate"), _text(form, "stop_at") or "10"
    is_all, step = form.get("how") == "all", _text(form, "canary")
    try:
        if rate:
            texts.limits(rate)
    except ValueError:
        raise RefusedError("rate") from None
    is_share = share.isdecimal() and int(share) <= _PERCENT
    is_step = step.isdecimal() and 0 < int(step) < 1_000_000  # noqa: PLR2004 (sane)
    if not is_share or not (is_all or is_step):
        raise RefusedError("step")
    return RunOptions(
        canary=None if is_all else int(step),
        stop_at=int(share) / _PERCENT,
        rate=rate or None,
        why=_text(form, "why") or None,
    )


def _text(form: dict[str, str], name: str) -> str:
    return form.get(name, "").strip()[:_LONGEST_TEXT]


def _to(path: str) -> RedirectResponse:
    return RedirectResponse(path, 303)
