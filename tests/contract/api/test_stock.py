"""Our adapter in a `requests.Session`, beside the stock one: the same replies, the same errors."""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
import requests
import requests.adapters

from tests.contract.api.peer import BODY, OK, Peer, Talk, http, keeps_answering
from worker.api.adapter import ApiSession, BoundedAdapter

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.contract.api.conftest import Authority

CHUNKED = http("200 OK", "Transfer-Encoding: chunked", body=b"", length=False)
SECONDS = timedelta(seconds=10)


def outcomes(
    script: Callable[[Talk], None],
    see: Callable[[requests.Response], Any],
    authority: Authority | None = None,
    method: str = "POST",
    seconds: float = 10.0,
    **how: Any,  # noqa: ANN401 - what Session.request takes
) -> list[Any]:
    """What is seen of the reply, or the error's class: of stock requests, and of ours."""
    ca_file = authority.file if authority else None
    ours = BoundedAdapter(SECONDS, timedelta(seconds=seconds), ca_file)
    adapters = [(requests.adapters.HTTPAdapter(), (10, seconds)), (ours, None)]
    verify = [ca_file or True, True]
    seen: list[Any] = []
    for (adapter, timeout), trusted in zip(adapters, verify, strict=True):
        context = authority.server() if authority else None
        with Peer(script, context) as peer, requests.Session() as session:
            session.trust_env = False
            session.verify = trusted
            session.mount(peer.url, adapter)
            try:
                seen.append(see(session.request(method, peer.url, timeout=timeout, **how)))
            except requests.RequestException as error:
                seen.append(type(error))
    return seen


def says(reply: bytes) -> Callable[[Talk], None]:
    def script(talk: Talk) -> None:
        talk.hear()
        talk.say(reply)

    return script


def all_of(reply: requests.Response) -> tuple[Any, ...]:
    return (
        reply.status_code,
        reply.reason,
        {name.lower(): value for name, value in reply.headers.items()},
        reply.content,
        reply.text,
        reply.encoding,
        reply.ok,
        reply.is_redirect,
    )


WELL_FORMED = [
    OK,
    http("200 OK", "Content-Type: application/json;charset=UTF-8"),
    http(
        "200 OK", "Content-Type: text/html; charset=iso-8859-1", body="<p>é</p>".encode("latin-1")
    ),
    http("200 OK", "X-A: 1", "X-A: 2", "x-b:   spaces", "X-Empty:"),
    http("200 OK", "X-Latin: \xe9"),
    http("200 All Is Well"),
    http("200 "),
    http("201 Created", body=b""),
    http("204 No Content", body=b"", length=False),
    http("304 Not Modified", "Content-Length: 500", body=b"", length=False),
    http("301 Moved", "Location: /x"),
    http("404 Not Found", "Content-Type: text/plain", body=b"no"),
    http("429 Too Many Requests", "Retry-After: 7"),
    http("500 Internal Server Error", body=b'{"status":500}'),
    http("503 Service Unavailable", "Retry-After: Sun, 22 Nov 2026 08:00:30 GMT"),
    http("100 Continue", body=b"", length=False) + OK,
    CHUNKED + b"2d\r\n" + BODY + b"\r\n0\r\n\r\n",
    CHUNKED + b"5;x=y\r\n" + BODY[:5] + b"\r\n28\r\n" + BODY[5:] + b"\r\n0\r\nTrailer: x\r\n\r\n",
    http("200 OK", "Connection: close", length=False),
    http("200 OK", "Date: Sun, 22 Nov 2026 08:00:00 GMT", "Server: nginx", body=b"\x00\xff" * 9000),
]


@pytest.mark.parametrize("reply", WELL_FORMED)
@pytest.mark.parametrize("tls", [False, True])
def test_the_same_reply(reply: bytes, tls: bool, authority: Authority) -> None:
    stock, ours = outcomes(
        says(reply), all_of, authority if tls else None, data=b"{}", allow_redirects=False
    )
    assert ours == stock
    assert not isinstance(ours, type)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "OPTIONS", "DELETE"])
@pytest.mark.parametrize("stream", [False, True])
def test_the_same_for_other_methods(method: str, stream: bool) -> None:
    def script(talk: Talk) -> None:
        if talk.hear().startswith(b"HEAD"):
            talk.say(OK.removesuffix(BODY))
        else:
            talk.say(OK)

    stock, ours = outcomes(script, all_of, method=method, stream=stream)
    assert ours == stock
    assert not isinstance(ours, type)


def test_the_same_request_but_for_the_order_of_its_headers() -> None:
    def script(talk: Talk) -> None:
        request = talk.hear().replace(f":{talk.peer.port}".encode(), b"")
        lines = sorted(request.split(b"\r\n"))
        talk.say(http(body=sha256(b"\n".join(lines)).digest() + b"\n".join(lines)[:9999]))

    for how in (
        {"data": "name=ü".encode(), "headers": {"X": "y", "Content-Type": "text/plain"}},
        {"json": {"a": [1]}, "params": {"q": "a b"}},
        {"data": b"x" * 200_000},
        {"auth": ("user", "word")},
        {"method": "GET"},
    ):
        stock, ours = outcomes(script, lambda reply: reply.content, **how)
        assert ours == stock


def resets(talk: Talk) -> None:
    talk.hear()
    talk.reset()


def stays_silent(talk: Talk) -> None:
    talk.stay()


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (says(b""), requests.exceptions.ConnectionError),
        (says(b"SSH-2.0-OpenSSH_9.2\r\n"), requests.exceptions.ConnectionError),
        (resets, requests.exceptions.ConnectionError),
        (stays_silent, requests.exceptions.ReadTimeout),
    ],
    ids=["closes", "speaks something else", "resets", "stays silent"],
)
def test_the_same_errors(
    script: Callable[[Talk], None], error: type[requests.RequestException]
) -> None:
    assert outcomes(script, all_of, seconds=0.3) == [error, error]


@pytest.mark.parametrize("ours", [False, True])
def test_the_same_errors_of_connecting(ours: bool, authority: Authority, port: int) -> None:
    made = ApiSession(BoundedAdapter(SECONDS, SECONDS)) if ours else requests.Session()
    with made as session, Peer(keeps_answering, authority.server()) as peer:
        session.trust_env = False
        with pytest.raises(requests.exceptions.ConnectionError):
            session.get(f"http://127.0.0.1:{port}/")
        with pytest.raises(requests.exceptions.SSLError):
            session.get(peer.url)
