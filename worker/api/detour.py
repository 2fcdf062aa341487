"""Calls through a proxy: requests' own way, held to our deadline and bounds."""

from __future__ import annotations

import ssl
from http.client import RemoteDisconnected
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from requests import exceptions
from urllib3.exceptions import HTTPError

from worker.api.broken import (
    BrokenCallError,
    Stage,
    cut_off,
    late_connect,
    late_reply,
    no_tls,
    unreadable,
)
from worker.api.reader import LARGEST_BODY, HttpReply
from worker.api.timed import LargeError, LateError, TimedAdapter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from requests import PreparedRequest

    from worker.account import Endpoint

_CALLERS = 200
"""Connections kept at most: as many as an account may have calls in flight."""


class Detour:
    """An account's way to the API through its proxy; safe for many threads.

    `template` is the request but for its body and what is signed anew.
    """

    def __init__(self, template: PreparedRequest, endpoint: Endpoint) -> None:
        proxy = endpoint.proxy or ""
        if urlsplit(proxy).scheme not in {"http", "https"} or not urlsplit(proxy).hostname:
            raise ValueError("the proxy must be given as http://host:port")
        self._template = template
        self._proxies = {"http": proxy, "https": proxy}
        place, proxy_place = (
            urlsplit(url).netloc.rpartition("@")[2] for url in (str(template.url), proxy)
        )
        self._way = f"{place} through the proxy {proxy_place}"
        self._timeouts = (
            endpoint.connect_timeout.total_seconds(),
            endpoint.call_timeout.total_seconds(),
        )
        self._verify = endpoint.ca_file or True
        self._adapter = TimedAdapter(pool_maxsize=_CALLERS)

    def exchange(self, headers: Mapping[str, str], body: bytes) -> HttpReply:
        """Send the template with these further headers and this body, and give the reply.

        `BrokenCallError` for trouble of any kind with network, proxy or peer.
        """
        request = self._template.copy()
        request.headers.update(headers)
        request.headers["Content-Length"] = str(len(body))
        request.body = body
        try:
            response = self._adapter.send(
                request,
                stream=True,
                timeout=self._timeouts,
                verify=self._verify,
                proxies=self._proxies,
            )
            content = response.raw.read(decode_content=False)
        except (exceptions.RequestException, HTTPError, OSError) as error:
            raise self._broken(error) from None
        names = {name.lower(): value for name, value in response.headers.items()}
        return HttpReply(response.status_code, response.reason or "", names, content)

    def close(self) -> None:
        """Close the kept connections."""
        self._adapter.close()

    def _broken(self, error: Exception) -> BrokenCallError:
        """In our own words: those of requests can hold the proxy's user and password."""
        told = filter(None, map(self._told, _causes(error)))
        if isinstance(error, exceptions.ProxyError):
            return next(told, self._no_connection("the proxy cannot be reached"))
        return next(told, cut_off(begun=False))

    def _told(self, cause: BaseException) -> BrokenCallError | None:  # noqa: PLR0911 (a table)
        """What one of the causes alone says, if anything."""
        match cause:
            case exceptions.ConnectTimeout():
                return late_connect(self._way, self._timeouts[0])
            case LateError() | exceptions.ReadTimeout():
                return late_reply(self._timeouts[1])
            case LargeError():
                return unreadable(f"its body is over {LARGEST_BODY} bytes")
            case RemoteDisconnected():  # which urllib3 calls an error of the proxy
                return cut_off(begun=False)
            case ssl.SSLError():
                return no_tls(self._way, cause)
            case OSError() if str(cause).startswith("Tunnel connection failed"):
                return self._no_connection(str(cause)[:100])
            case _:
                return None

    def _no_connection(self, why: str) -> BrokenCallError:
        return BrokenCallError(Stage.CONNECT, f"no connection to {self._way} ({why})")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it was made from, by whichever way urllib3 and requests wrap it."""
    inner = (error.__cause__, error.__context__, getattr(error, "reason", None), *error.args)
    yield error
    for cause in inner:
        if isinstance(cause, BaseException):
            yield from _causes(cause)
