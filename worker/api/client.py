"""The client of the provider's API: signs, calls, and says what came of it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

from requests.exceptions import RequestException

from worker.api.adapter import ApiRequest, ApiSession, BoundedAdapter
from worker.api.auth import SignatureAuth
from worker.api.connect import BAD_URL, Route, trust
from worker.api.errors import NotSentError, ShortageError
from worker.core.reply import Answered, Reply, Shortage, Unanswered, answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import SecretStr

    from worker.account import Endpoint
    from worker.core.reply import Leave

_KEY = re.compile(r"[\x21-\x7e]+")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


class Client:
    """Calls taskEdit of one account; many threads may call at once.

    requests prepares the request once (URL, header rules); each call signs a copy and sends it
    through a session of requests.

    Raises `ValueError`, in a sentence without the secrets, for a URL, key, proxy or CA file that
    cannot be used.
    """

    def __init__(self, endpoint: Endpoint, api_key: str, api_secret: SecretStr) -> None:
        if not _KEY.fullmatch(api_key):
            raise ValueError("the API key must be visible ASCII characters, without spaces")
        if not api_secret.get_secret_value():
            raise ValueError("the API secret is empty")
        self._key = api_key
        self._secret = api_secret
        content = {"Content-Type": "application/json;charset=UTF-8"}
        self._template = prepared("POST", endpoint.task_edit_url, content)
        route = Route.of(str(self._template.url), endpoint.proxy)
        if route.target.secure:
            _check(endpoint.ca_file)
        proxy = endpoint.proxy
        self._proxies = {} if proxy is None else {"http": proxy, "https": proxy}
        self._session = ApiSession(
            BoundedAdapter(endpoint.connect_timeout, endpoint.call_timeout, endpoint.ca_file)
        )

    def call(
        self,
        body: bytes,
        timestamp: int,
        *,
        traceparent: str | None = None,
        leave: Leave | None = None,
    ) -> Reply | Shortage | None:
        """Send one edit (JSON, as bytes), signed for `timestamp` (epoch seconds).

        Trouble of any kind with the API or on the way to it is a reply; where this machine lacks
        what a connection takes, nothing is sent, and that is a `Shortage`. `traceparent` is passed
        on if it is one (W3C Trace Context), else left out. `leave` is asked when the connection
        stands, right before the request goes out on it. If it gives nothing, nothing is sent, and
        there is no reply; else that is called when the request has gone.
        """
        now = datetime.fromtimestamp(timestamp, UTC)
        secret = self._secret.get_secret_value()
        request = self._template.copy()
        request.body = body
        SignatureAuth(self._key, secret, timestamp)(request)
        request.leave = leave
        if traceparent is not None and _TRACEPARENT.fullmatch(traceparent):
            request.headers["traceparent"] = traceparent
        try:
            reply = self._session.send(request, allow_redirects=False, proxies=self._proxies)
        except ShortageError as lacking:
            return Shortage(str(lacking))
        except NotSentError:
            return None
        except RequestException as error:
            return Unanswered(str(error))
        found = answer(reply.status_code, reply.headers, reply.content, now=now)
        return _discreet(found, (secret, self._key))

    def close(self) -> None:
        """Close the kept connections."""
        self._session.close()


def prepared(method: str, url: str, headers: Mapping[str, str] | None = None) -> ApiRequest:
    """A request without a body, with our name and no wish for compression.

    `ValueError` if the URL cannot be used.
    """
    ours = {
        "User-Agent": f"task-edit-worker/{version('task-edit-worker')}",
        "Accept": "application/json",
        "Accept-Encoding": "identity",
    }
    request = ApiRequest()
    try:
        request.prepare(method, url, headers={**ours, **(headers or {})})
    except RequestException:
        raise ValueError(BAD_URL) from None
    request.headers.pop("Content-Length", None)
    _ = request.path_url  # worked out once, for all copies
    return request


def _discreet(reply: Reply, secrets: tuple[str, ...]) -> Reply:
    """The reply without our credentials, should the API's words repeat them."""
    if not isinstance(reply, Answered) or reply.reason is None:
        return reply
    words = reply.reason
    for secret in secrets:
        if secret in words:
            words = words.replace(secret, "***")
    return reply if words is reply.reason else replace(reply, reason=words)


def _check(ca_file: str | None) -> None:
    try:
        trust(ca_file)
    except OSError as error:
        why = error.strerror or "it holds no certificate"
        raise ValueError(f"the CA file {ca_file} cannot be used ({why})") from None
