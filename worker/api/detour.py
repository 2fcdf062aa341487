"""Calls through a proxy: requests' own way, held to our deadline and bounds."""

from __future__ import annotations

import ssl
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
from worker.api.timed import TimedAdapter

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
        self._proxy = urlsplit(proxy).netloc.rpartition("@")[2]
        self._place = urlsplit(str(template.url)).netloc.rpartition("@")[2]
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
        if len(content) > LARGEST_BODY:
            raise unreadable(f"its body is over {LARGEST_BODY} bytes")
        names = {name.lower(): value for name, value in response.headers.items()}
        return HttpReply(response.status_code, response.reason or "", names, content)

    def close(self) -> None:
        """Close the kept connections."""
        self._adapter.close()

    def _broken(self, error: Exception) -> BrokenCallError:
        """In our own words: those of requests can hold the proxy's user and password."""
        causes = list(_causes(error))
        failed_tls = [cause for cause in causes if isinstance(cause, ssl.SSLError)]
        through = f"{self._place} through the proxy {self._proxy}"
        connect_seconds, call_seconds = self._timeouts
        match error:
            case _ if failed_tls:
                return no_tls(through, failed_tls[0])
            case exceptions.ConnectTimeout():
                return late_connect(through, connect_seconds)
            case exceptions.Timeout():
                return late_reply(call_seconds)
            case exceptions.ProxyError():
                words = (str(cause) for cause in causes if str(cause).startswith("Tunnel "))
                why = next(words, "the proxy cannot be reached")
                return BrokenCallError(Stage.CONNECT, f"no connection to {through} ({why[:100]})")
            case _:
                return cut_off(begun=False)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it was made from, by whichever way urllib3 and requests wrap it."""
    inner = (error.__cause__, error.__context__, getattr(error, "reason", None), *error.args)
    yield error
    for cause in inner:
        if isinstance(cause, BaseException):
            yield from _causes(cause)
