"""Who is calling: the provider's signature, as pure functions."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta


def signature(key: str, secret: str, timestamp: str) -> str:
    """Lower-case hex MD5 of key + secret + timestamp (epoch seconds as text).

    Source: the provider's Java and PHP samples. The body is not signed.
    """
    text = f"{key}{secret}{timestamp}".encode("utf-8", "surrogateescape")
    return hashlib.md5(text, usedforsecurity=False).hexdigest()


def refusal(
    headers: Mapping[str, str],
    secrets: Mapping[str, str],
    *,
    now: float,
    window: timedelta,
) -> str | None:
    """The status that these headers earn, or None when they are in order.

    `headers` by lower-case name, `secrets` by api key, `now` in epoch seconds of
    the provider's clock. -57, -58, -59: sign, timestamp, api key missing. -1: the
    key is unknown or the sign is not its own. -4: the timestamp is further from
    `now` than `window`, or no number of seconds at all.
    """
    for name, missing in (("sign", "-57"), ("timestamp", "-58"), ("api-key", "-59")):
        if not headers.get(name):
            return missing
    key, timestamp = headers["api-key"], headers["timestamp"]
    if key not in secrets:
        return "-1"
    if not _is_within(timestamp, now, window):
        return "-4"
    genuine = signature(key, secrets[key], timestamp)
    return None if hmac.compare_digest(genuine.encode(), headers["sign"].encode()) else "-1"


def _is_within(timestamp: str, now: float, window: timedelta) -> bool:
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= len("1772000000000")):
        return False
    return abs(now - int(timestamp)) <= window.total_seconds()
