"""What a call sends, and what of its reply is kept from others."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.contract.api.conftest import EDIT, KEY, SECRET, TIMESTAMP
from tests.contract.api.peer import Peer, Talk, http, keeps_answering
from worker.core.reply import Answered

if TYPE_CHECKING:
    from tests.contract.api.conftest import NewClient

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def sent(peer: Peer) -> tuple[bytes, dict[bytes, bytes], bytes]:
    """Request line, headers and body of the first request."""
    head, _, body = peer.requests[0].partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    headers = dict(line.split(b": ", 1) for line in lines)
    assert len(headers) == len(lines)
    return first, headers, body


def test_a_call_is_what_the_providers_page_asks_for(new_client: NewClient) -> None:
    with Peer(keeps_answering) as peer:
        new_client(peer.url).call(EDIT, TIMESTAMP)
        first, headers, body = sent(peer)
    assert first == b"POST /aivoice/taskEdit HTTP/1.1"
    assert body == EDIT
    assert headers.pop(b"User-Agent").startswith(b"task-edit-worker/")
    assert headers == {
        b"Host": f"127.0.0.1:{peer.port}".encode(),
        b"Accept": b"application/json",
        b"Accept-Encoding": b"identity",
        b"Content-Type": b"application/json;charset=UTF-8",
        b"Content-Length": str(len(EDIT)).encode(),
        b"Api-Key": KEY.encode(),
        b"Timestamp": b"1630468800",
        b"Sign": b"05d7a50893e22a5c4bb3216ae3396c7c",
    }


@pytest.mark.parametrize("body", [b"", b"x" * 65536, "话术".encode(), b"\r\n\r\nPOST / HTTP/1.1"])
def test_any_body_is_sent_byte_for_byte(body: bytes, new_client: NewClient) -> None:
    with Peer(keeps_answering) as peer:
        assert new_client(peer.url).call(body, TIMESTAMP) == Answered("0", "success")
        assert sent(peer)[2] == body


@pytest.mark.parametrize(
    ("given", "passed_on"),
    [
        (TRACE, TRACE.encode()),
        (None, None),
        ("", None),
        (TRACE.upper(), None),
        (TRACE + "\r\nX-Injected: yes", None),
        (TRACE + "\n", None),
        ("x" * 5000, None),
    ],
)
def test_a_traceparent_is_passed_on_if_it_is_one(
    given: str | None, passed_on: bytes | None, new_client: NewClient
) -> None:
    with Peer(keeps_answering) as peer:
        new_client(peer.url).call(EDIT, TIMESTAMP, traceparent=given)
        headers = sent(peer)[1]
    assert headers.get(b"traceparent") == passed_on
    assert b"X-Injected" not in headers


def test_credentials_that_the_api_repeats_go_no_further(new_client: NewClient) -> None:
    words = f"key {KEY} with secret {SECRET} is not known"

    def script(talk: Talk) -> None:
        talk.hear()
        talk.say(http(body=json.dumps({"status": "-1", "reason": words}).encode()))

    with Peer(script) as peer:
        reply = new_client(peer.url).call(EDIT, TIMESTAMP)
    assert reply == Answered("-1", "key *** with secret *** is not known")


def test_the_environments_proxies_are_not_used(
    new_client: NewClient, monkeypatch: pytest.MonkeyPatch, port: int
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
    with Peer(keeps_answering) as peer:
        assert new_client(peer.url).call(EDIT, TIMESTAMP) == Answered("0", "success")
