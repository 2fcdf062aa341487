"""Addresses of the broker, the API and the proxy, checked without ever repeating them.

Any of them may hold a password, so `ValueError` says what is wrong and not with what. What logs
and commands show of an address later is cut out of it, so an address is refused unless it is
certain where the password ends: ``amqp://user:1/secret@host`` would be the host ``user``, and
the rest of the password a virtual host that everybody sees.
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
_PARAMETERS = (*_FILES, "server_name_indication")
_ELSEWHERE = {
    "heartbeat": "set TASKEDIT_HEARTBEAT",
    "connection_timeout": "it follows from TASKEDIT_HEARTBEAT",
    "verify": "certificates are always verified",
    "fail_if_no_peer_cert": "certificates are always verified",
}
"""Parameters that other clients read, and what there is here in their stead."""
_SURELY_SPLIT = re.compile(
    r"""[A-Za-z][A-Za-z0-9+.-]*://
        (?: (?:[^\s@/?\#%\[\]\\] | %[0-9A-Fa-f]{2})* @ )?   # user and password
        [^\s@/?\#\\]*                                      # host and port
        (?: / (?:[^\s@?\#%\\] | %[0-9A-Fa-f]{2})* )?        # path
        (?: \? (?:[^\s@\#%\\] | %[0-9A-Fa-f]{2})* )?        # parameters
    """,
    re.VERBOSE,
)
_ENCODE = (
    "cannot be read for sure: in a user, a password or a path write % as %25, @ as %40, / as %2F,"
    " # as %23, ? as %3F, [ as %5B, ] as %5D and \\ as %5C, like"
)


def brokers(text: str) -> tuple[SecretStr, ...]:
    """AMQP URLs separated by commas; a comma within a password is written ``%2C``."""
    urls = _NEXT_URL.split(text)
    for url in urls:
        parts = _parts(url, {"amqp", "amqps"}, like=_AMQP)
        if "/" in parts.path[1:]:
            raise ValueError("names a virtual host with a plain slash in it: write that one as %2F")
        query = parse_qs(parts.query, keep_blank_values=True)
        _refuse_unknown(query)
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
    url = text.rstrip("/")
    if url.lower().endswith("/taskedit"):
        raise ValueError(f"ends in /taskEdit, which the worker adds itself: write one like {like}")
    return url


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


def _refuse_unknown(query: Collection[str]) -> None:
    """Of a parameter that is not known only a common name is repeated."""
    for name in query:
        if name in _ELSEWHERE:
            raise ValueError(f"has the parameter {name}, which is not used: {_ELSEWHERE[name]}")
        if name not in _PARAMETERS:
            raise ValueError(
                f"has an unknown parameter: the known ones are {', '.join(_PARAMETERS)}"
            )


def _parts(url: str, schemes: Collection[str], *, like: str) -> SplitResult:
    if "://" in url and " " not in url and _SURELY_SPLIT.fullmatch(url) is None:
        raise ValueError(f"{_ENCODE} {like}")
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname or ""
    except ValueError:
        raise ValueError(f"is not a valid address: write one like {like}") from None
    if parts.scheme not in schemes:
        either = " or ".join(f"{scheme}://" for scheme in sorted(schemes))
        raise ValueError(f"must begin with {either}: write one like {like}")
    if _HOST.fullmatch(host) is None or port == 0 or not _is_visible(url):
        raise ValueError(f"has no valid host and port in it: write one like {like}")
    return parts


def _is_visible(url: str) -> bool:
    return url.isascii() and url.isprintable() and " " not in url


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
