"""The client of the provider's API: signs, calls, and says what came of it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

import requests

from worker.api.adapter import DeadlineAdapter
from worker.api.broken import BrokenCallError
from worker.api.dial import BAD_URL, Origin, trust
from worker.api.head import head
from worker.core.answer import answer
from worker.core.reply import Answered, Reply, Unanswered
from worker.core.sign import signature

if TYPE_CHECKING:
    from pydantic import SecretStr

    from worker.account import Endpoint

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_KEY = re.compile(r"[\x21-\x7e]+")


class Client:
    """Calls taskEdit of one account; many threads may call at once.

    requests prepares the request once, as a template (URL, header rules), and each call goes
    straight to the adapter: through `Session` a call costs about five times the CPU, for
    cookies, redirects, environment and hooks that this API has no use for.

    Raises `ValueError`, in a sentence without the secrets, for a URL, key or CA file that
    cannot be used.
    """

    def __init__(self, endpoint: Endpoint, api_key: str, api_secret: SecretStr) -> None:
        if not _KEY.fullmatch(api_key):
            raise ValueError("the API key must be visible ASCII characters, without spaces")
        self._key = api_key
        self._secret = api_secret
        self._adapter = DeadlineAdapter(
            endpoint.connect_timeout, endpoint.call_timeout, endpoint.ca_file
        )
        template = _template(endpoint.url, api_key)
        self._origin = Origin.of(str(template.url))
        self._head = head(template)
        if self._origin.secure:
            _check(endpoint.ca_file)

    def call(self, body: bytes, timestamp: int, *, traceparent: str | None = None) -> Reply:
        """Send one edit (JSON, as bytes), signed for `timestamp` (epoch seconds, our clock).

        Trouble of any kind with the API or on the way to it is a reply. `traceparent` is passed
        on if it is one (W3C Trace Context), else left out.
        """
        try:
            reply = self._adapter.exchange(
                self._origin, self._request(body, timestamp, traceparent)
            )
        except BrokenCallError as error:
            return Unanswered(error.detail)
        now = datetime.fromtimestamp(timestamp, UTC)
        return self._discreet(answer(reply.code, reply.headers, reply.body, now=now))

    def close(self) -> None:
        """Close the kept connections."""
        self._adapter.close()

    def _request(self, body: bytes, timestamp: int, traceparent: str | None) -> bytes:
        sign = signature(self._key, self._secret.get_secret_value(), str(timestamp))
        trace = ""
        if traceparent is not None and _TRACEPARENT.fullmatch(traceparent):
            trace = f"traceparent: {traceparent}\r\n"
        signed = (
            f"Sign: {sign}\r\nTimestamp: {timestamp}\r\n{trace}Content-Length: {len(body)}\r\n\r\n"
        )
        return self._head + signed.encode() + body

    def _discreet(self, reply: Reply) -> Reply:
        """The reply without our credentials, should the API's words repeat them."""
        secret = self._secret.get_secret_value()
        match reply:
            case Answered(reason=str(words)) if secret in words or self._key in words:
                words = words.replace(secret, "***").replace(self._key, "***")
                return Answered(reply.status, words, reply.date, reply.retry_after)
            case _:
                return reply


def _template(url: str, api_key: str) -> requests.PreparedRequest:
    headers = {
        "User-Agent": f"task-edit-worker/{version('task-edit-worker')}",
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "Content-Type": "application/json;charset=UTF-8",
        "Api-Key": api_key,
    }
    try:
        template = requests.Request("POST", f"{url}/taskEdit", headers=headers).prepare()
    except requests.RequestException:
        raise ValueError(BAD_URL) from None
    del template.headers["Content-Length"]
    return template


def _check(ca_file: str | None) -> None:
    try:
        trust(ca_file)
    except OSError as error:
        raise ValueError(f"the CA file {ca_file} cannot be used ({error.strerror})") from None
