"""The session that every call passes, and what it does not do."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.contract.api.conftest import EDIT, TIMESTAMP
from tests.contract.api.peer import OK, Peer, Talk, http, keeps_answering
from worker.api.adapter import ApiSession, BoundedAdapter
from worker.core.reply import Answered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.contract.api.conftest import NewClient

TEN = timedelta(seconds=10)


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with ApiSession(BoundedAdapter(TEN, TEN)) as made:
        yield made


@pytest.fixture
def passed() -> Iterator[list[str]]:
    """What passes `requests.Session.send` and our adapter, as an instrumentation sees it."""
    seen: list[str] = []
    session_send, adapter_send = requests.Session.send, BoundedAdapter.send

    def by_session(self: requests.Session, request: Any, **how: Any) -> requests.Response:  # noqa: ANN401
        seen.append(f"session {request.method}")
        request.headers["X-Seen"] = "yes"
        reply = session_send(self, request, **how)
        seen.append(f"HTTP {reply.status_code}")
        return reply

    def by_adapter(self: BoundedAdapter, *args: Any, **how: Any) -> requests.Response:  # noqa: ANN401
        seen.append("adapter")
        return adapter_send(self, *args, **how)

    requests.Session.send = by_session  # type: ignore[method-assign]
    BoundedAdapter.send = by_adapter  # type: ignore[method-assign]
    yield seen
    requests.Session.send = session_send  # type: ignore[method-assign]
    BoundedAdapter.send = adapter_send  # type: ignore[method-assign]


@pytest.mark.parametrize("proxied", [False, True])
def test_a_call_passes_the_session_of_requests_and_the_mounted_adapter(
    proxied: bool, new_client: NewClient, passed: list[str]
) -> None:
    with Peer(keeps_answering) as peer:
        proxy = f"http://127.0.0.1:{peer.port}" if proxied else None
        url = "http://api.invalid/aivoice" if proxied else peer.url
        client = new_client(url, proxy=proxy)
        assert [client.call(EDIT, TIMESTAMP) for _ in range(2)] == [Answered("0", "success")] * 2
        assert passed == ["session POST", "adapter", "HTTP 200"] * 2
        assert all(b"\r\nX-Seen: yes\r\n" in request for request in peer.requests)
        assert peer.connections == 1


@pytest.mark.parametrize("how", [{"verify": False}, {"timeout": 5}, {"cert": "x.pem"}])
def test_what_the_adapter_is_told_when_it_is_made_is_not_told_again(
    how: dict[str, Any], session: requests.Session, port: int
) -> None:
    with pytest.raises(ValueError, match="verifies TLS"):
        session.get(f"https://127.0.0.1:{port}/", **how)


def test_a_body_that_is_not_whole_is_refused(session: requests.Session, port: int) -> None:
    body: Iterator[bytes] = iter([])
    with pytest.raises(TypeError, match="must be bytes"):
        session.post(f"http://127.0.0.1:{port}/", data=body)


def test_a_redirect_is_a_reply(session: requests.Session) -> None:
    for location in ("/there", "http://[", "https://elsewhere.invalid/"):

        def script(talk: Talk, location: str = location) -> None:
            talk.hear()
            talk.say(http("302 Found", f"Location: {location}", body=b""))

        with Peer(script) as peer:
            assert session.get(peer.url).status_code == 302
            assert len(peer.requests) == 1


def test_a_cookie_is_not_sent_back(session: requests.Session) -> None:
    def script(talk: Talk) -> None:
        while talk.hear():
            talk.say(OK.replace(b"\r\n", b"\r\nSet-Cookie: a=b; Path=/\r\n", 1))

    with Peer(script) as peer:
        for _ in range(2):
            assert not session.get(peer.url).cookies
        assert b"Cookie" not in peer.requests[1]


def test_a_connection_is_kept_for_its_host_alone(session: requests.Session) -> None:
    with Peer(keeps_answering) as one, Peer(keeps_answering) as other:
        for _ in range(3):
            assert session.get(one.url).ok
            assert session.get(other.url).ok
        assert (one.connections, other.connections) == (1, 1)
