"""What comes in from browsers and programs, read within limits: forms, filters, JSON."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import parse_qsl, urlsplit

from starlette.exceptions import HTTPException

from worker.console.model import EventFilter, LetterFilter
from worker.settings import texts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.datastructures import QueryParams
    from starlette.requests import Request

    from worker.console.model import GroupedBy

BODY_AT_MOST: Final = 512 * 1024
"""Bytes: an edit of 64 KiB, percent-encoded, and a form around it."""
GROUPED_BY: Final[Mapping[str, GroupedBy]] = {
    "cause": "cause",
    "account": "account",
    "app": "app",
    "hour": "hour",
}
_PERIOD: Final = texts.duration(timedelta(seconds=1), timedelta(days=366))
_FIELDS_AT_MOST: Final = 100
_TEXT_AT_MOST: Final = 1000
_JOB: Final = re.compile(r"[1-9][0-9]{0,18}")


Found = TypeVar("Found")


def existing(found: Found | None) -> Found:
    """What was found; 404 for nothing."""
    if found is None:
        raise HTTPException(404)
    return found


def name_of(request: Request) -> str:
    """Whoever asks; `Guard` lets nobody through who has no name."""
    name: str = request.scope["person"].name
    return name


def end_of(period: str | None) -> datetime | None:
    """When a period such as ``2h`` that begins now ends; None for none. Raises `ValueError`."""
    return datetime.now(UTC) + _PERIOD(period) if period else None


async def body(request: Request) -> bytes:
    """The request's body; 413 for one that is larger than anything we take."""
    found = bytearray()
    async for chunk in request.stream():
        found += chunk
        if len(found) > BODY_AT_MOST:
            raise HTTPException(413)
    return bytes(found)


async def form(request: Request) -> dict[str, str]:
    """The fields of a posted form; 400 for what is none."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    text = (await body(request)).decode(errors="replace")
    if text and kind != "application/x-www-form-urlencoded":
        raise HTTPException(400)
    try:
        pairs = parse_qsl(
            text, keep_blank_values=True, max_num_fields=_FIELDS_AT_MOST, errors="replace"
        )
    except ValueError:
        raise HTTPException(400) from None
    return dict(pairs)


def letter_filter(query: QueryParams) -> LetterFilter:
    """The letters that an address names; 400 for a job that is no number.

    An empty `app` or `hour` means those that have none: each is a group of its own.
    """
    named = {name: _text(query, name) for name in LetterFilter.__slots__ if name != "job"}
    named |= {name: "" for name in ("app", "hour") if query.get(name) == ""}
    return LetterFilter(job=_job(query), **named)


def event_filter(query: QueryParams) -> EventFilter:
    """The events that an address names; 400 for a job that is no number."""
    named = {name: _text(query, name) for name in EventFilter.__slots__ if name != "job"}
    return EventFilter(job=_job(query), **named)


def grouped_by(query: QueryParams) -> GroupedBy:
    """What dead letters are to be grouped by; 400 for what they cannot be."""
    found = GROUPED_BY.get(query.get("by", "cause"))
    if found is None:
        raise HTTPException(400)
    return found


def job_id(text: str) -> int | None:
    """A job's number; None for what cannot be one."""
    return int(text) if _JOB.fullmatch(text) else None


def local_path(text: str | None) -> str:
    """A page of ours to go on to: a path and its query, and nothing that leads elsewhere."""
    try:
        parts = urlsplit(text or "")
    except ValueError:
        return "/"
    is_ours = parts.path.startswith("/") and not re.match(r"[/\\]{2}|/\\", parts.path)
    if not is_ours or not (parts.path + parts.query).isprintable() or "\\" in parts.path:
        return "/"
    return parts.path + (f"?{parts.query}" if parts.query else "")


def _text(query: QueryParams, name: str) -> str | None:
    return query.get(name, "")[:_TEXT_AT_MOST] or None


def _job(query: QueryParams) -> int | None:
    text = query.get("job", "").strip()
    found = job_id(text)
    if text and found is None:
        raise HTTPException(400)
    return found
