"""Texts made into typed values, a function for each kind of setting.

Each raises `ValueError` with the rest of a sentence that begins with the setting's name: what is
wrong, and what a good one looks like. Texts that may hold a secret are never repeated.

An address of the broker, the API or a proxy may hold a password. What logs and commands show of it
later is cut out of it, so an address is refused unless it is certain where the password ends:
``amqp://user:1/secret@host`` would be the host ``user``, and the rest of the password a virtual
host that everybody sees.
"""

from __future__ import annotations

import re
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import SplitResult, parse_qs, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import SecretStr

from schemas.names import ACCOUNT_PATTERN, KEY_BYTES_AT_MOST
from worker.core.judge import Fault
from worker.core.rate_limit import Rate, rates
from worker.settings import files
from worker.settings.source import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping


Kind = TypeVar("Kind")

_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)\s*(ms|s|m|h|d)?")
_SWITCH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_WINDOW = re.compile(r"((?:[01][0-9]|2[0-3]):[0-5][0-9])\s*-\s*((?:[01][0-9]|2[0-3]):[0-5][0-9])")
_NAMESPACE = re.compile(r"(?!amq\.)[A-Za-z0-9._-]{1,100}")
_ACCOUNT = re.compile(ACCOUNT_PATTERN)
_ADDRESS = re.compile(r"(?:\[([0-9A-Fa-f:.%a-z]+)\]|([^\s\[\]:/]+)):([0-9]{1,5})")
_API_STATUS = re.compile(r"-?[0-9]{1,6}|http:[34][0-9]{2}")
_VISIBLE = re.compile(r"[\x21-\x7e]{1,500}")
_APP_ID = re.compile(r"[^\s*#;\"'\[\]\x00-\x1f\x7f-\x9f]{1,100}")
_LARGEST_PORT = 65535


def duration(shortest: timedelta, longest: timedelta) -> Callable[[str], timedelta]:
    """``5s``, ``20m``, ``1h``, ``500ms`` or plain seconds, within bounds."""

    def read(text: str) -> timedelta:
        found = _DURATION.fullmatch(text)
        if found is None:
            raise ValueError(
                f"is {text!r}, which is not a valid duration: write one like 5s, 20m or 500ms"
            )
        length = float(found[1]) * _UNITS[found[2] or "s"]
        if not shortest <= length <= longest:
            raise ValueError(f"is {text!r}: it must be {shown(shortest)} to {shown(longest)}")
        return length

    return read


def shown(length: timedelta) -> str:
    """A duration the way a person would write it in a setting."""
    for unit in ("d", "h", "m", "s"):
        if length and length % _UNITS[unit] == timedelta(0):
            return f"{length // _UNITS[unit]}{unit}"
    return f"{length // _UNITS['ms']}ms"


def switch(text: str) -> bool:
    """``true`` or ``false``, ``yes`` or ``no``, ``1`` or ``0``."""
    found = _SWITCH.get(text.lower())
    if found is None:
        raise ValueError(f"is {text!r}: write true or false")
    return found


def number(least: int, most: int) -> Callable[[str], int]:
    """A whole number within bounds."""

    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
            raise ValueError(f"is {text!r}: write a whole number from {least} to {most}")
        return int(text)

    return read


def choice(kinds: Mapping[str, Kind]) -> Callable[[str], Kind]:
    """One of a few words, in any case."""

    def read(text: str) -> Kind:
        if text.lower() not in kinds:
            raise ValueError(f"is {text!r}: write one of {', '.join(kinds)}")
        return kinds[text.lower()]

    return read


def limits(text: str) -> tuple[Rate, ...]:
    """``20/s,600/m`` as limits, the shortest window first."""
    try:
        return rates(text)
    except ValueError as error:
        raise ValueError(f"cannot be used: {error}") from None


def replica(text: str) -> str:
    """A worker's name among its like."""
    if not re.fullmatch(r"[A-Za-z0-9._:@-]{1,100}", text):
        raise ValueError(
            f"is {text!r}: write 1 to 100 letters, digits, dots, colons, dashes or underscores"
        )
    return text


def zone(text: str) -> ZoneInfo:
    """A time zone by its name in the IANA database."""
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        meant = nearest(text, available_timezones()) or "Asia/Shanghai"
        raise ValueError(
            f"is {text!r}, which is not a known time zone: write one like {meant}"
        ) from None


def window(text: str) -> tuple[str, str]:
    """``09:00-20:00`` as its two ends, the first before the second."""
    found = _WINDOW.fullmatch(text)
    if found is None:
        raise ValueError(
            f"is {text!r}, which is not a valid daily window: write one like 09:00-20:00"
        )
    if found[1] >= found[2]:
        raise ValueError(f"is {text!r}: it must start before it ends, within one day")
    return found[1], found[2]


def namespace(text: str) -> str:
    """What every exchange and queue is named after."""
    if _NAMESPACE.fullmatch(text) is None:
        allowed = "up to 100 letters, digits, dots, dashes and underscores, not beginning with amq."
        raise ValueError(f"is {text!r}: write {allowed}")
    return text


def account_name(text: str) -> str:
    """What an account is called."""
    if _ACCOUNT.fullmatch(text) is None:
        raise ValueError("is not a valid account name: write 1 to 40 of a-z, 0-9 and -")
    return text


def address(text: str) -> tuple[str, int]:
    """``127.0.0.1:9464``, ``localhost:9464`` or ``[::1]:9464`` as host and port."""
    found = _ADDRESS.fullmatch(text)
    if found is None or int(found[3]) > _LARGEST_PORT:
        raise ValueError(f"is {text!r}: write host and port like 127.0.0.1:9464 or [::]:9464")
    return found[1] or found[2], int(found[3])


def credential(text: str) -> str:
    """An API key or secret: it goes into a header, so visible ASCII without spaces."""
    if _VISIBLE.fullmatch(text) is None:
        raise ValueError(
            "must be at most 500 visible ASCII characters, without spaces or line ends"
        )
    return text


def app_ids(text: str) -> frozenset[str]:
    """AppIds separated by commas."""
    found = frozenset(part.strip() for part in text.split(",")) - {""}
    for one in sorted(found):
        if _APP_ID.fullmatch(one) is None:
            raise ValueError(
                f"holds {one!r}, which is not a valid appId: write them separated by commas,"
                " without quotes or brackets, each up to 100 visible characters without * or #"
            )
        if len(one.encode("utf-8", "surrogateescape")) > KEY_BYTES_AT_MOST:
            raise ValueError(
                f"holds {one!r}, which is longer than the {KEY_BYTES_AT_MOST} bytes of UTF-8 of a"
                " routing key"
            )
    return found


def verdict(status: str, fault: object) -> tuple[str, Fault]:
    """A line of the `verdicts` table: an API status, and whose fault it is to be."""
    if _API_STATUS.fullmatch(status) is None or status == "http:429":
        what = "an API status like -52, or http:300 to http:499 except http:429"
        other = "throttling and failures without an answer are never the edit's fault"
        raise ValueError(f"has the status {status!r}: write {what} ({other})")
    try:
        return status, Fault(str(fault))
    except ValueError:
        raise ValueError(
            f"gives {status} the verdict {str(fault)!r}: write one of {', '.join(Fault)}"
        ) from None


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
