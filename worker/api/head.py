"""Requests as requests prepares them, and their heads as bytes."""

from __future__ import annotations

import re
from importlib.metadata import version
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests
from requests.exceptions import InvalidHeader

if TYPE_CHECKING:
    from collections.abc import Mapping

BAD_URL = "the API's URL must begin with https:// or http:// and name a host"

_HARMLESS = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
"""What a header value may hold (RFC 9110, 5.5): no control characters but the tab."""


def prepared(
    method: str, url: str, headers: Mapping[str, str] | None = None
) -> requests.PreparedRequest:
    """A request without a body, with our name and no wish for compression.

    `ValueError` if the URL cannot be used.
    """
    ours = {
        "User-Agent": f"task-edit-worker/{version('task-edit-worker')}",
        "Accept": "application/json",
        "Accept-Encoding": "identity",
    }
    try:
        request = requests.Request(method, url, headers={**ours, **(headers or {})}).prepare()
    except requests.RequestException:
        raise ValueError(BAD_URL) from None
    request.headers.pop("Content-Length", None)
    return request


def head(request: requests.PreparedRequest) -> bytes:
    """Request line and headers of `request`, without the empty line that ends them.

    Raises `requests.exceptions.InvalidHeader` for a value that would end its line: requests
    checks what it prepares, but what it has prepared can be changed. The message names the
    header, never its value.
    """
    lines = [f"{request.method} {request.path_url} HTTP/1.1"]
    if "Host" not in request.headers:
        lines.append(f"Host: {_host(str(request.url))}")
    for name, value in request.headers.items():
        text = _text(value)
        if not _HARMLESS.fullmatch(text):
            raise InvalidHeader(f"the header {name} holds a control character")
        lines.append(f"{name}: {text}")
    lines.append("")
    try:
        return "\r\n".join(lines).encode("latin-1")
    except UnicodeEncodeError:
        raise InvalidHeader("a header holds a character that HTTP cannot carry") from None


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _host(url: str) -> str:
    """The `Host` header of a URL: no user, and the port only if it is not the scheme's own."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    usual = ":443" if parts.scheme == "https" else ":80"
    return host.removesuffix(usual) if parts.port else host
