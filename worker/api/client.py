"""The client of the provider's API: signs, calls, and says what came of it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from worker.api.adapter import DeadlineAdapter
from worker.api.broken import BrokenCallError, StayedError
from worker.api.detour import Detour
from worker.api.dial import Origin, trust
from worker.api.head import head, prepared
from worker.api.probe import Probe, probe
from worker.core.answer import answer
from worker.core.reply import Answered, Reply, Unanswered
from worker.core.sign import signature

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import SecretStr

    from worker.account import Endpoint
    from worker.api.reader import HttpReply

_KEY = re.compile(r"[\x21-\x7e]+")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


class Client:
    """Calls taskEdit of one account; many threads may call at once.

    requests prepares the request once, as a template (URL, header rules), and each call goes
    straight to the adapter: through `Session` a call costs several times the CPU, for cookies,
    redirects, environment and hooks that this API has no use for.

    Raises `ValueError`, in a sentence without the secrets, for a URL, key, proxy or CA file that
    cannot be used.
    """

    def __init__(self, endpoint: Endpoint, api_key: str, api_secret: SecretStr) -> None:
        if not _KEY.fullmatch(api_key):
            raise ValueError("the API key must be visible ASCII characters, without spaces")
        if not api_secret.get_secret_value():
            raise ValueError("the API secret is empty")
        self._endpoint = endpoint
        self._key = api_key
        self._secret = api_secret
        fixed = {"Content-Type": "application/json;charset=UTF-8", "Api-Key": api_key}
        template = prepared("POST", f"{endpoint.url}/taskEdit", fixed)
        self._origin = Origin.of(str(template.url))
        if self._origin.secure:
            _check(endpoint.ca_file)
        self._head = head(template)
        self._adapter = DeadlineAdapter(
            endpoint.connect_timeout, endpoint.call_timeout, endpoint.ca_file
        )
        self._detour = Detour(template, endpoint) if endpoint.proxy else None

    def call(
        self,
        body: bytes,
        timestamp: int,
        *,
        traceparent: str | None = None,
        leave: Callable[[], bool] = lambda: True,
    ) -> Reply | None:
        """Send one edit (JSON, as bytes), signed for `timestamp` (epoch seconds).

        Trouble of any kind with the API or on the way to it is a reply. `traceparent` is passed
        on if it is one (W3C Trace Context), else left out. `leave` is asked right before the
        request goes out: on a connection that stands, or, by way of a proxy, before that. If it
        says no, nothing is sent, and there is no reply.
        """
        secret = self._secret.get_secret_value()
        signed = {
            "Sign": signature(self._key, secret, str(timestamp)),
            "Timestamp": str(timestamp),
        }
        if traceparent is not None and _TRACEPARENT.fullmatch(traceparent):
            signed["traceparent"] = traceparent
        try:
            reply = self._exchange(signed, body, leave)
        except BrokenCallError as error:
            return Unanswered(error.detail)
        except StayedError:
            return None
        now = datetime.fromtimestamp(timestamp, UTC)
        return _discreet(
            answer(reply.code, reply.headers, reply.body, now=now), (secret, self._key)
        )

    def probe(self) -> Probe:
        """Look whether the API's host is there, without calling taskEdit."""
        return probe(self._endpoint)

    def close(self) -> None:
        """Close the kept connections."""
        self._adapter.close()
        if self._detour is not None:
            self._detour.close()

    def _exchange(
        self, headers: Mapping[str, str], body: bytes, leave: Callable[[], bool]
    ) -> HttpReply:
        if self._detour is not None:
            if not leave():
                raise StayedError
            return self._detour.exchange(headers, body)
        lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
        lines.append(f"Content-Length: {len(body)}\r\n\r\n")
        request = self._head + "".join(lines).encode() + body
        return self._adapter.exchange(self._origin, request, leave=leave)


def _discreet(reply: Reply, secrets: tuple[str, ...]) -> Reply:
    """The reply without our credentials, should the API's words repeat them."""
    match reply:
        case Answered(reason=str(words)) if any(secret in words for secret in secrets):
            for secret in secrets:
                words = words.replace(secret, "***")
            return Answered(reply.status, words, reply.date, reply.retry_after)
        case _:
            return reply


def _check(ca_file: str | None) -> None:
    try:
        trust(ca_file)
    except OSError as error:
        why = error.strerror or "it holds no certificate"
        raise ValueError(f"the CA file {ca_file} cannot be used ({why})") from None
