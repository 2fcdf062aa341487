"""Addresses of the broker, the API and the proxy, checked without ever repeating them.

Any of them may hold a password, so `ValueError` says what is wrong and not with what.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qs, urlsplit

from pydantic import SecretStr

from worker.settings import files

if TYPE_CHECKING:
    from collections.abc import Collection

_NEXT_URL = re.compile(r"\s*,\s*(?=[a-z]+://)")
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:.]+(?:%[A-Za-z0-9._-]+)?")
_AMQP = "amqp://user:password@host:5672/%2F"
_FILES = ("cacertfile", "certfile", "keyfile")


def brokers(text: str) -> tuple[SecretStr, ...]:
    """AMQP URLs separated by commas; a comma within a password is written ``%2C``."""
    urls = _NEXT_URL.split(text)
    for url in urls:
        parts = _parts(url, {"amqp", "amqps"}, like=_AMQP)
        if "/" in parts.path[1:]:
            raise ValueError("names a virtual host with a plain slash in it: write that one as %2F")
        query = parse_qs(parts.query)
        for path in (path for name in _FILES for path in query.get(name, ())):
            files.readable(Path(path))
    return tuple(map(SecretStr, urls))


def management(text: str) -> SecretStr:
    """The address of RabbitMQ's management API, with user and password if it has its own."""
    return SecretStr(_plain(text, like="http://user:password@host:15672").rstrip("/"))


def api(text: str) -> str:
    """The base address of the provider's API, without a slash at the end."""
    like = "https://api.itniotech.com/aivoice"
    if urlsplit(_plain(text, like=like)).username is not None:
        raise ValueError(
            "must not hold a user or a password: the API is called with key and secret"
        )
    return text.rstrip("/")


def proxy(text: str) -> str:
    """The address of an HTTP proxy, with user and password if it wants them."""
    _plain(text, like="http://proxy.example:3128")
    return text


def is_clear_text(url: str) -> bool:
    """Whether calls to `url` can be read on the way: no TLS, and not on this machine."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return parts.scheme == "http" and host != "localhost" and not _is_loopback(host)


def _plain(text: str, *, like: str) -> str:
    parts = _parts(text, {"http", "https"}, like=like)
    if parts.query or parts.fragment:
        raise ValueError(f"must end with its path, without ? or #: write one like {like}")
    return text


def _parts(url: str, schemes: Collection[str], *, like: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname or ""
    except ValueError:
        raise ValueError(f"is no address: write one like {like}") from None
    if parts.scheme not in schemes:
        either = " or ".join(f"{scheme}://" for scheme in sorted(schemes))
        raise ValueError(f"must begin with {either}: write one like {like}")
    if _HOST.fullmatch(host) is None or port == 0 or not _is_visible(url):
        raise ValueError(f"has no proper host and port in it: write one like {like}")
    return parts


def _is_visible(url: str) -> bool:
    return url.isascii() and url.isprintable() and " " not in url


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
