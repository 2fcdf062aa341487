"""What both the environment and an account's table may say of calls and limits."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from schemas import Bounds
from worker.account import Endpoint
from worker.core.rate_limit import Rate
from worker.settings import files, texts, urls
from worker.settings.model import Terms

if TYPE_CHECKING:
    from worker.settings.source import Source

NAMES = frozenset(
    (
        "api_url",
        "api_timezone",
        "rate",
        "concurrency",
        "attempts",
        "connect_timeout",
        "call_timeout",
        "http_proxy",
        "http_proxy_file",
        "ca_file",
        "daily_window",
        "coalesce",
    )
)
PROVIDERS_API = "https://api.itniotech.com/aivoice"
ASSUMED_LATENCY = 1.0
"""Seconds that a call may well take: concurrency is held against the rate with it."""
_SECOND = timedelta(seconds=1)
_CONNECT = texts.duration(_SECOND / 10, 60 * _SECOND)
_CALL = texts.duration(_SECOND / 2, 600 * _SECOND)


def default_terms() -> Terms:
    """What holds when an operator says nothing."""
    return Terms(
        Endpoint(PROVIDERS_API),
        Bounds(),
        rates=(Rate(10, 1.0),),
        concurrency=16,
        attempts=5,
        coalesce=False,
    )


def read_terms(source: Source, given: Terms) -> Terms:
    """What `source` says, and `given` for all that it does not."""
    earliest, latest = source.read(
        "daily_window", texts.window, (given.bounds.earliest, given.bounds.latest)
    )
    found = Terms(
        endpoint=_endpoint(source, given.endpoint),
        bounds=Bounds(source.read("api_timezone", texts.zone, given.bounds.zone), earliest, latest),
        rates=source.read("rate", texts.limits, given.rates),
        concurrency=source.read("concurrency", texts.number(1, 200), given.concurrency),
        attempts=source.read("attempts", texts.number(1, 20), given.attempts),
        coalesce=source.read("coalesce", texts.switch, given.coalesce),
    )
    _warn(source, found)
    return found


def _endpoint(source: Source, given: Endpoint) -> Endpoint:
    ca_file = source.path("ca_file", files.certificates)
    return Endpoint(
        url=source.read("api_url", urls.api, given.url),
        connect_timeout=source.read("connect_timeout", _CONNECT, given.connect_timeout),
        call_timeout=source.read("call_timeout", _CALL, given.call_timeout),
        proxy=source.secret("http_proxy", urls.proxy, given.proxy),
        ca_file=given.ca_file if ca_file is None else str(ca_file),
    )


def _warn(source: Source, terms: Terms) -> None:
    """What is allowed and probably not meant; said where it was written, or not at all."""
    limit = min(terms.rates, key=lambda rate: rate.calls / rate.seconds)
    enough_for = terms.concurrency * limit.seconds / limit.calls
    if enough_for < ASSUMED_LATENCY and source.has("rate", "concurrency"):
        source.warn(
            "concurrency",
            f"is {terms.concurrency}: enough for {limit} only while a call takes less than"
            f" {texts.shown(timedelta(seconds=enough_for))}",
        )
    if urls.is_clear_text(terms.endpoint.url) and source.has("api_url"):
        source.warn("api_url", "begins with http://: what is sent can be read on the way")
    if source.has("connect_timeout", "call_timeout") and (
        terms.endpoint.connect_timeout > terms.endpoint.call_timeout
    ):
        source.warn("connect_timeout", "is longer than the whole call may take")
