"""The same for programs: JSON under ``/api/v1/``.

Accounts and operations have the names of ``lanes --json`` and ``audit --json``, the rest those of
`model`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from starlette.responses import Response
from starlette.routing import Route

from worker.console import forms
from worker.console.model import LetterFilter, PlanAction, RefusedError, RunOptions
from worker.settings import texts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.requests import Request

    from worker.console.data import Console
    from worker.console.model import Account

ROWS: Final = 100
_LANE: Final = (
    "state", "why", "api_status", "since", "until", "paused", "rate_allowed", "rate_used",
    "waiting", "seconds_left", "dead", "last_success", "replica",
)  # fmt: skip
"""What is told of an account, by the names of `taskedit lanes --json`."""
Wanted = TypeVar("Wanted", bound=BaseModel)
Text = TypeVar("Text")
Parsed = TypeVar("Parsed")


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NewPlan(_Body):
    """A plan for the letters of a filter (of an empty one: all), of some keys, or mended ones."""

    action: PlanAction
    filter: LetterFilter | None = None
    keys: tuple[str, ...] | None = Field(default=None, min_length=1)
    mended: dict[str, str] | None = Field(default=None, min_length=1)
    even_if_superseded: bool = False

    @model_validator(mode="after")
    def _says_which(self) -> Self:
        """A script whose list came to nothing must not have said all of them."""
        if sum(each is not None for each in (self.filter, self.keys, self.mended)) != 1:
            raise ValueError("give exactly one of filter, keys and mended")
        if (self.action == "mend") != (self.mended is not None):
            raise ValueError("mended goes with the action mend, and with no other")
        return self


class Run(_Body):
    """How a plan is to be run."""

    canary: int | None = Field(default=None, ge=1, le=1_000_000)
    stop_at: float = Field(default=0.1, ge=0, le=1)
    rate: str | None = None
    why: str | None = None


class Pause(_Body):
    """Why an account is paused, and for how long."""

    why: str = Field(min_length=1, max_length=1000)
    period: str | None = Field(default=None, alias="for")


class Resume(_Body):
    """Why an account goes on."""

    why: str | None = Field(default=None, max_length=1000)


class Api:
    """Every address for programs."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def routes(self) -> list[Route]:
        """Where each is."""
        get, post = ["GET"], ["POST"]
        return [
            Route("/api/v1/lanes", self.lanes, methods=get),
            Route("/api/v1/workers", self.workers, methods=get),
            Route("/api/v1/dead/groups", self.groups, methods=get),
            Route("/api/v1/dead/letters", self.letters, methods=get),
            Route("/api/v1/dead/letters/{key}", self.letter, methods=get),
            Route("/api/v1/jobs/{number}", self.job, methods=get),
            Route("/api/v1/operations", self.operations, methods=get),
            Route("/api/v1/operations/{id}", self.operation, methods=get),
            Route("/api/v1/operations/{id}/stop", self.stop, methods=post),
            Route("/api/v1/plans", self.make_plan, methods=post),
            Route("/api/v1/plans/{id}", self.plan, methods=get),
            Route("/api/v1/plans/{id}/run", self.run_plan, methods=post),
            Route("/api/v1/accounts/{name}/pause", self.pause, methods=post),
            Route("/api/v1/accounts/{name}/resume", self.resume, methods=post),
        ]

    async def lanes(self, request: Request) -> Response:
        """Every account, with the names of `taskedit lanes --json`."""
        del request
        picture = self._console.picture()
        return _listed([_lane(one) for one in picture.accounts], **self._as_of())

    async def workers(self, request: Request) -> Response:
        """Every replica."""
        del request
        return _listed(self._console.picture().replicas, **self._as_of())

    async def groups(self, request: Request) -> Response:
        """Dead letters in groups."""
        query = request.query_params
        found = await self._console.groups(forms.grouped_by(query), forms.letter_filter(query))
        return _listed(found, looked_at=self._looked_at(), **self._as_of())

    async def letters(self, request: Request) -> Response:
        """Dead letters one by one; `after` takes the `next` of the page before."""
        query = request.query_params
        found = await self._console.letters(forms.letter_filter(query), query.get("after"), ROWS)
        more = {"next": found.next, "total": found.total, "looked_at": self._looked_at()}
        return _listed(found.rows, **more, **self._as_of())

    async def letter(self, request: Request) -> Response:
        """One dead letter: its body as text, and where it is none in base64."""
        found = forms.existing(await self._console.letter(request.path_params["key"]))
        try:
            body = {"body": found.body.decode()}
        except UnicodeDecodeError:
            body = {"body_base64": base64.b64encode(found.body).decode()}
        return _json(_plain(found, without=("body",)) | body)

    async def job(self, request: Request) -> Response:
        """What became of a job's edits."""
        number = forms.existing(forms.job_id(request.path_params["number"]))
        return _json(_plain(await self._console.job(number)))

    async def operations(self, request: Request) -> Response:
        """Who did what, the newest first."""
        found = await self._console.operations(request.query_params.get("after"), ROWS)
        return _listed(found.rows, next=found.next)

    async def operation(self, request: Request) -> Response:
        """One operation, and how far it is."""
        found = forms.existing(await self._console.operation(request.path_params["id"]))
        return _json(_plain(found))

    async def stop(self, request: Request) -> Response:
        """Send no further letter."""
        return _json(
            _plain(await self._console.stop(request.path_params["id"], by=forms.name_of(request)))
        )

    async def make_plan(self, request: Request) -> Response:
        """A plan; it is ready when its `state` says so."""
        wanted = await _read(request, NewPlan)
        plan = await self._console.plan(
            wanted.action,
            by=forms.name_of(request),
            filter_=wanted.filter,
            keys=wanted.keys,
            mended=wanted.mended,
            even_if_superseded=wanted.even_if_superseded,
        )
        return _json(_plain(plan), 201, {"location": f"/api/v1/plans/{plan.id}"})

    async def plan(self, request: Request) -> Response:
        """A plan, as far as it is made."""
        found = forms.existing(await self._console.plan_of(request.path_params["id"]))
        return _json(_plain(found))

    async def run_plan(self, request: Request) -> Response:
        """Begin what a plan says; a second time gives the same operation."""
        wanted = await _read(request, Run)
        if wanted.rate is not None:
            _checked(texts.limits, wanted.rate, "rate")
        options = RunOptions(wanted.canary, wanted.stop_at, wanted.rate, wanted.why)
        found = await self._console.run(
            request.path_params["id"], options, by=forms.name_of(request)
        )
        return _json(_plain(found), 202, {"location": f"/api/v1/operations/{found.id}"})

    async def pause(self, request: Request) -> Response:
        """Pause an account, and say which replicas have taken it."""
        wanted = await _read(request, Pause)
        until = _checked(forms.end_of, wanted.period, "period")
        name = request.path_params["name"]
        taken = await self._console.pause(
            name, by=forms.name_of(request), why=wanted.why, until=until
        )
        return _json({"account": name, "until": until, "replicas": list(taken)})

    async def resume(self, request: Request) -> Response:
        """Resume an account, and say which replicas have taken it."""
        wanted = await _read(request, Resume)
        name = request.path_params["name"]
        taken = await self._console.resume(name, by=forms.name_of(request), why=wanted.why)
        return _json({"account": name, "replicas": list(taken)})

    def _as_of(self) -> dict[str, object]:
        """How old it is, and whether RabbitMQ answers."""
        picture = self._console.picture()
        return {"at": picture.at, "live": picture.broker.is_up}

    def _looked_at(self) -> datetime | None:
        """When the dead letters were looked at last; before that nobody knows of any."""
        return self._console.picture().letters.looked_at


async def _read(request: Request, kind: type[Wanted]) -> Wanted:
    """The request's JSON; an empty body is an empty object, and a bad one names the field."""
    try:
        return kind.model_validate_json(await forms.body(request) or b"{}")
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, first["loc"])) or "request"
        raise RefusedError("invalid", field=field, problem=first["msg"]) from None


def _checked(parse: Callable[[Text], Parsed], text: Text, kind: str) -> Parsed:
    try:
        return parse(text)
    except ValueError as error:
        raise RefusedError(kind, why=str(error)) from None


def _lane(account: Account) -> dict[str, object]:
    paused, told = account.paused, {name: getattr(account, name) for name in _LANE}
    told["paused"] = paused and {"by": paused.by, "why": paused.why, "until": paused.until}
    return {"account": account.name, **told}


def _plain(value: object, *, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """A value of `model` as JSON has it."""
    names = [name for name in getattr(value, "__slots__", ()) if name not in without]
    return {name: getattr(value, name) for name in names}


def _listed(items: Sequence[object], **more: object) -> Response:
    return _json({"items": items, **more})


def _json(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON in ASCII: nothing that anybody wrote can turn a terminal around."""
    text = json.dumps(value, default=_jsonable)
    return Response(text, status, headers, "application/json")


def _jsonable(value: object) -> object:
    """A value that `json` does not know, as one that it does."""
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case BaseModel():
            return value.model_dump(mode="json")
        case Mapping():
            return dict(value)
        case _:
            return _plain(value)
