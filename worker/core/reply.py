"""What came back from one call of the provider's API, and how an HTTP reply is read into it."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING
from zlib import decompressobj
from zlib import error as ZlibError  # noqa: N812

from pydantic_core import from_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Leave = Callable[[], Callable[[], None] | None]
    """Asked when the connection stands, right before a request goes out on it: what to call once
    the request has gone, or None, and then nothing is sent."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The API took the call and said what it thinks of it.

    `status` is the API's own status as text (``"0"``, ``"-33"``) from an HTTP 2xx reply with a
    readable body, else ``"http:<code>"`` for HTTP 3xx, 4xx and throttling (429, 503 with
    Retry-After). Other 5xx are no answer: see `Unanswered`.
    """

    status: str
    reason: str | None = None
    """The API's words (untrusted, bounded to 500 characters), if any."""
    date: datetime | None = None
    """The reply's `Date` header, aware, for correcting our clock on ``-4``."""
    retry_after: timedelta | None = None
    """The reply's `Retry-After`, never negative; None when absent or unreadable."""
    code: int | None = field(default=None, compare=False)
    """The HTTP status code, for traces."""


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Nothing that says anything of the edit: transport error, timeout, 5xx, unreadable body.

    `status` is ``"http:<code>"`` when a reply was read as far as that, else None. `detail` is one
    sentence for people, free of secrets and of the edit's content.
    """

    detail: str
    status: str | None = None
    code: int | None = field(default=None, compare=False)
    """The HTTP status code, for traces; None when none was read."""


Reply = Answered | Unanswered


@dataclass(frozen=True, slots=True)
class Shortage:
    """No call was made: this machine lacks what one takes, a thread or a descriptor, say.

    Nobody's fault, so it is no reply: it says nothing of the edit, the account or the API.
    """

    detail: str


REASON_LENGTH = 500
"""Characters kept of the API's words."""

LONGEST_PAUSE = timedelta(hours=1)
"""A longer `Retry-After` is taken for this: an account is never asleep for days by one header."""

LARGEST_UNPACKED = 64 * 1024
"""Bytes that a compressed body may come to."""

_SHORT_BODY = 4096
"""Bytes; a longer body of an HTTP error is a page for browsers, not a reason."""

_WINDOW_BITS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""What zlib must be told of each (RFC 9110, 8.4.1)."""

_SECONDS = re.compile(r"-?(?:\d{1,20}(?:\.\d{0,20})?|\.\d{1,20})", re.ASCII)
_STATUS = re.compile(r"[\x21-\x7e]{1,32}")


def answer(code: int, headers: Mapping[str, str], body: bytes, *, now: datetime) -> Reply:
    """What an HTTP reply with this status code, these headers and this body says.

    `headers` has its names in lower case. `body` is what was sent; if it is compressed (the
    request asks for none, but a gateway may not care), it is read within a bound. `now` (aware)
    is only for a `Retry-After` date in a reply that has no `Date` itself. Never raises, whatever
    the API sent.
    """
    date = http_date(headers.get("date", ""))
    if 200 <= code < 300:  # noqa: PLR2004  (the classes of RFC 9110, section 15)
        return _own_answer(code, headers, body, date)
    throttled = code == HTTPStatus.TOO_MANY_REQUESTS or (
        code == HTTPStatus.SERVICE_UNAVAILABLE and "retry-after" in headers
    )
    if throttled or 300 <= code < 500:  # noqa: PLR2004
        pause = retry_after(headers.get("retry-after", ""), date or now)
        return Answered(f"http:{code}", _words_of_error(headers, body), date, pause, code)
    # A gateway's 5xx says nothing of the edit; least of all its body, where Spring's own error
    # page has a `status` too: {"status": 500, "error": "Internal Server Error", …}.
    return Unanswered(f"the API answered {_named(code)}", f"http:{code}", code)


@lru_cache(maxsize=64)  # a server's Date changes once a second; parsing it costs as much as a call
def http_date(text: str) -> datetime | None:
    """A date header's moment in UTC, in any of the three forms of RFC 9110; None if unreadable."""
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:  # "-0000": in UTC, from a place not told (RFC 5322, 3.3)
            moment = moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def retry_after(text: str, sent: datetime) -> timedelta | None:
    """The pause that a `Retry-After` header asks for, from zero to an hour; None if unreadable.

    Seconds (fractions too: some send them) or a date, which counts from `sent`, the reply's own
    date, so that a wrong clock here or there does not change the pause.
    """
    text = text.strip()
    if _SECONDS.fullmatch(text):
        pause = timedelta(seconds=max(-1e9, min(float(text), 1e9)))
    elif (moment := http_date(text)) is not None:
        pause = moment - sent
    else:
        return None
    return max(timedelta(0), min(pause, LONGEST_PAUSE))


def _own_answer(
    code: int, headers: Mapping[str, str], body: bytes, date: datetime | None
) -> Answered | Unanswered:
    plain, packed = _plain(headers, body)
    content = _json_object(plain)
    if content is None:
        kind = "a compressed body that cannot be read" if packed else _kind_of(headers, plain)
        return _unreadable(code, kind)
    status = _status(content.get("status"))
    if status is None:
        return _unreadable(code, "JSON without a status that can be read")
    return Answered(status, _words(content.get("reason")), date, code=code)


def _plain(headers: Mapping[str, str], body: bytes) -> tuple[bytes, bool]:
    """The body without its `Content-Encoding`, and whether it is still compressed for all we know.

    Some gateways name a coding that is none (``none``, a charset), or one that they did not
    apply; so a body that cannot be unpacked within bounds is given as it came.
    """
    if not body or "content-encoding" not in headers:
        return body, False
    named = [name.strip().lower() for name in headers["content-encoding"].split(",")]
    codings = [name for name in named if name not in {"", "identity", "none"}]
    if not codings:
        return body, False
    if len(codings) == 1 and codings[0] in _WINDOW_BITS:
        unpacker = decompressobj(wbits=_WINDOW_BITS[codings[0]])
        with suppress(ZlibError):
            plain = unpacker.decompress(body, LARGEST_UNPACKED)
            if unpacker.eof:
                return plain, False
    return body, True


def _json_object(body: bytes) -> dict[str, object] | None:
    try:
        content = from_json(body, allow_inf_nan=False, cache_strings="keys")
    except ValueError:
        try:  # a byte order mark, or a reason in GBK, shall not hide a status that can be read
            text = body.decode("utf-8-sig", errors="replace")
            content = from_json(text, allow_inf_nan=False, cache_strings="keys")
        except ValueError:
            return None
    return content if isinstance(content, dict) else None


def _status(value: object) -> str | None:
    """The status as text; the page shows a string, sibling endpoints send a number."""
    match value:
        case bool():
            return None
        case str():
            text = value.strip()
        case int() if -(2**63) <= value < 2**63:
            text = str(value)
        case _:
            return None
    return text if _STATUS.fullmatch(text) else None


def _words_of_error(headers: Mapping[str, str], body: bytes) -> str | None:
    plain, _ = _plain(headers, body)
    if len(plain) > _SHORT_BODY:
        return None
    content = _json_object(plain)
    if content is None:
        return None
    return next(filter(None, (_words(content.get(name)) for name in ("reason", "message"))), None)


def _words(value: object) -> str | None:
    """The API's words on one line that a terminal and a log can bear, or None."""
    if not isinstance(value, str):
        return None
    if not value.isprintable():
        readable = "".join(char if char.isprintable() else " " for char in value)
        value = " ".join(readable.split())
    return value[:REASON_LENGTH].strip() or None


def _unreadable(code: int, what: str) -> Unanswered:
    return Unanswered(f"the API answered {_named(code)} with {what}", f"http:{code}", code)


def _kind_of(headers: Mapping[str, str], body: bytes) -> str:
    if not body.strip():
        return "an empty body"
    if "html" in headers.get("content-type", "").lower() or body.lstrip()[:1] == b"<":
        return "a page (HTML) instead of JSON"
    return "a body that is no JSON object"


def _named(code: int) -> str:
    try:
        return f"HTTP {code} ({HTTPStatus(code).phrase})"
    except ValueError:
        return f"HTTP {code}"
