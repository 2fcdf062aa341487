"""What goes back over the wire: a reply as a value, and its bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

JSON = "application/json;charset=UTF-8"
REASONS = {
    "0": "success",
    "-1": "account authentication failed",
    "-3": "balance exhausted",
    "-4": "timestamp expired",
    "-5": "system error",
    "-6": "ip not allowed",
    "-27": "parameter check failed",
    "-28": "automatic mode needs a start time",
    "-29": "redial rule parameter error",
    "-30": "redial interval parameter error",
    "-31": "redial times parameter error",
    "-32": "task does not exist",
    "-33": "task name already exists",
    "-37": "application does not exist",
    "-38": "the task's state does not allow pausing",
    "-39": "the task's state does not allow starting",
    "-41": "script id parameter error",
    "-45": "no customers imported, cannot start",
    "-46": "network error or parameter error",
    "-48": "the daily window has to be within the account's",
    "-49": "account not verified",
    "-50": "application has no price",
    "-51": "customer properties incomplete",
    "-52": "concurrency above the account's maximum",
    "-55": "script unbound",
    "-57": "sign must not be empty",
    "-58": "timestamp must not be empty",
    "-59": "apikey must not be empty",
    "-60": "intention label group does not exist",
}


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP reply; `headers` are those beside Date and the body's framing."""

    code: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = (("Content-Type", JSON),)


def answer(status: str, job: int | None, *, numeric: bool = False) -> Reply:
    """The provider's own reply, HTTP 200: status as text, or as a number when `numeric`."""
    reason = REASONS.get(status, "unknown")
    data = job if status == "0" else None
    shown: str | int = int(status) if numeric and status.lstrip("-").isdecimal() else status
    return Reply(200, json.dumps({"status": shown, "reason": reason, "data": data}).encode())


def json_reply(code: int, value: Any) -> Reply:  # noqa: ANN401 - JSON is what json.dumps takes
    """Any value as JSON."""
    return Reply(code, json.dumps(value).encode() + b"\n")


def spring_error(code: int, path: str, now: float) -> Reply:
    """Spring's default error body, whose own `status` is the HTTP status as a number."""
    moment = formatdate(now, usegmt=True)
    value = {"timestamp": moment, "status": code, "error": _phrase(code), "path": path}
    return Reply(code, json.dumps(value).encode(), (("Content-Type", "application/json"),))


def head(reply: Reply, date: str, *framing: str) -> bytes:
    """Status line and headers up to the empty line; `framing` are whole header lines."""
    lines = [f"HTTP/1.1 {reply.code} {_phrase(reply.code)}", f"Date: {date}"]
    lines += [f"{name}: {value}" for name, value in reply.headers]
    return "\r\n".join([*lines, *framing, "", ""]).encode("latin-1")


def whole(reply: Reply, date: str, *, close: bool = False) -> bytes:
    """The complete reply with its length; `close` announces the connection's end."""
    framing = [] if reply.code == HTTPStatus.NO_CONTENT else [f"Content-Length: {len(reply.body)}"]
    if close:
        framing.append("Connection: close")
    return head(reply, date, *framing) + reply.body


def chunk(data: bytes) -> bytes:
    """A chunk of a chunked body (RFC 9112, 7.1); an empty one is the end."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def http_date(moment: float) -> str:
    """Epoch seconds as an HTTP date (RFC 9110, 5.6.7)."""
    return formatdate(moment, usegmt=True)


def retry_after(text: str, now: float) -> str:
    """A Retry-After as it will be sent: `date+5` and `date-5` become HTTP dates, else verbatim."""
    if text.startswith(("date+", "date-")):
        return http_date(now + float(text[len("date") :]))
    return text


def _phrase(code: int) -> str:
    try:
        return HTTPStatus(code).phrase
    except ValueError:
        return "Unknown"
