"""By way of a proxy: one deadline, bounds and words, as without one."""

from __future__ import annotations

import base64
import socket
from contextlib import suppress
from itertools import chain, repeat
from threading import Thread
from typing import TYPE_CHECKING

import pytest
import trustme

from tests.contract.api.conftest import EDIT, KEY, TIMESTAMP, endpoint
from tests.contract.api.peer import OK, Peer, Talk, http, keeps_answering
from worker.api.probe import probe
from worker.core.reply import Answered, Unanswered

if TYPE_CHECKING:
    from tests.contract.api.conftest import Authority, NewClient
    from tests.contract.api.peer import Script

CHUNKED = http("200 OK", "Transfer-Encoding: chunked", body=b"", length=False)
SUCCESS = Answered("0", "success")


def tunnels(talk: Talk) -> None:
    """The script of a proxy that does what CONNECT asks."""
    target = talk.hear().split(b" ")[1].decode()
    host, _, port = target.rpartition(":")
    with socket.create_connection((host, int(port))) as far:
        talk.say(b"HTTP/1.1 200 Connection established\r\n\r\n")
        Thread(target=_pump, args=(talk.sock, far), daemon=True).start()
        _pump(far, talk.sock)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


def through(proxy: Peer) -> str:
    return f"http://user:proxy-canary@127.0.0.1:{proxy.port}"


def test_https_goes_through_a_tunnel_and_its_connection_is_kept(
    authority: Authority, new_client: NewClient
) -> None:
    with Peer(tunnels) as proxy, Peer(keeps_answering, authority.server()) as peer:
        client = new_client(peer.url, proxy=through(proxy), ca_file=authority.file)
        assert [client.call(EDIT, TIMESTAMP) for _ in range(3)] == [SUCCESS] * 3
        [connect] = proxy.requests  # one tunnel for all
        user = base64.b64encode(b"user:proxy-canary")
        assert connect.startswith(f"CONNECT 127.0.0.1:{peer.port} HTTP/1.".encode())
        assert b"Proxy-Authorization: Basic " + user in connect
        assert KEY.encode() not in connect
        assert b"Proxy-Authorization" not in peer.requests[0]
        assert peer.requests[0].endswith(EDIT)
        assert peer.requests[0].startswith(b"POST /aivoice/taskEdit HTTP/1.1\r\n")
        assert probe(endpoint(peer.url, proxy=through(proxy), ca_file=authority.file)).reached
        assert len(proxy.requests) == 2


def test_http_is_forwarded(new_client: NewClient) -> None:
    with Peer(keeps_answering) as proxy:
        client = new_client("http://api.invalid/aivoice", proxy=through(proxy))
        assert client.call(EDIT, TIMESTAMP) == SUCCESS
        assert proxy.requests[0].startswith(b"POST http://api.invalid/aivoice/taskEdit HTTP/1.1")


def test_a_proxy_that_refuses_is_told_without_its_password(new_client: NewClient) -> None:
    def script(talk: Talk) -> None:
        talk.hear()
        talk.say(http("407 Proxy Authentication Required", body=b""))

    with Peer(script) as proxy:
        reply = new_client("https://api.invalid/x", proxy=through(proxy)).call(EDIT, TIMESTAMP)
    assert reply == Unanswered(
        f"no connection to api.invalid:443 through the proxy 127.0.0.1:{proxy.port}"
        " (Tunnel connection failed: 407 Proxy Authentication Required)"
    )


def test_a_proxy_that_is_not_there_is_told(new_client: NewClient, port: int) -> None:
    proxy = f"http://user:proxy-canary@127.0.0.1:{port}"
    for url in ("https://api.invalid/x", "http://api.invalid:443/x"):
        reply = new_client(url, proxy=proxy).call(EDIT, TIMESTAMP)
        assert reply == Unanswered(
            f"no connection to api.invalid:443 through the proxy 127.0.0.1:{port}"
            " (Connection refused)"
        )


def test_a_bad_certificate_is_refused_through_a_proxy_too(
    authority: Authority, new_client: NewClient
) -> None:
    stranger = authority.server(trustme.CA().issue_cert("127.0.0.1"))
    with Peer(keeps_answering, stranger) as peer, Peer(tunnels) as proxy:
        client = new_client(peer.url, proxy=through(proxy), ca_file=authority.file)
        reply = client.call(EDIT, TIMESTAMP)
        assert isinstance(reply, Unanswered)
        assert "not trusted here" in reply.detail
        assert peer.requests == []
        assert not probe(endpoint(peer.url, proxy=through(proxy), ca_file=authority.file)).reached


def silent(talk: Talk) -> None:
    talk.hear()
    talk.stay()


def drips_head(talk: Talk) -> None:
    talk.hear()
    talk.drip(chain([b"HTTP/1.1 200 OK\r\nX-Drip: "], repeat(b"drop", 1000), [b"\r\n", OK]))


def drips_body(talk: Talk) -> None:
    talk.hear()
    talk.drip(chain([http(body=b"", length=False)], repeat(b" ", 1000)))


def drips_a_chunk_size(talk: Talk) -> None:
    talk.hear()
    talk.drip(chain([CHUNKED + b"1;x="], repeat(b"drop", 1000)))


@pytest.mark.parametrize("script", [silent, drips_head, drips_body, drips_a_chunk_size])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_one_deadline_is_for_the_whole_reply(
    script: Script, scheme: str, authority: Authority, new_client: NewClient
) -> None:
    context = authority.server() if scheme == "https" else None
    with Peer(tunnels if context else script) as proxy, Peer(script, context) as peer:
        url = peer.url if context else "http://api.invalid/x"
        client = new_client(url, call=0.4, proxy=through(proxy), ca_file=authority.file)
        assert client.call(EDIT, TIMESTAMP) == Unanswered("no whole reply within 0.4 s")


@pytest.mark.parametrize(
    ("start", "more", "why"),
    [
        (http(body=b"", length=False), b"x" * 60_000, "over 65536 bytes"),
        (CHUNKED, b"4\r\nabcd\r\n" * 9000, "over 65536 bytes"),
        (http("200 OK", "Content-Length: 600000000", length=False), b"x" * 60_000, "over 65536"),
        (b"HTTP/1.1 200 OK\r\n", b"X-Endless: header\r\n" * 1000, "over 32768 bytes"),
    ],
)
def test_what_has_no_end_is_left_soon(
    start: bytes, more: bytes, why: str, new_client: NewClient
) -> None:
    def script(talk: Talk) -> None:
        talk.hear()
        for piece in chain([start], repeat(more, 10_000)):
            talk.say(piece)

    with Peer(script) as proxy:
        client = new_client("http://api.invalid/x", proxy=through(proxy))
        reply = client.call(EDIT, TIMESTAMP)
    assert isinstance(reply, Unanswered)
    assert why in reply.detail


def test_a_reply_cut_off_is_no_answer(new_client: NewClient) -> None:
    def script(talk: Talk) -> None:
        talk.hear()
        talk.say(OK[:-3])

    with Peer(script) as proxy:
        reply = new_client("http://api.invalid/x", proxy=through(proxy)).call(EDIT, TIMESTAMP)
    assert isinstance(reply, Unanswered)
    assert "closed the connection" in reply.detail


def test_a_kept_connection_that_the_proxy_closed_is_replaced(new_client: NewClient) -> None:
    def script(talk: Talk) -> None:
        talk.hear()
        talk.say(OK)

    with Peer(script) as proxy:
        client = new_client("http://api.invalid/x", proxy=through(proxy))
        for _ in range(3):
            assert client.call(EDIT, TIMESTAMP) == SUCCESS
            proxy.settle()
        assert len(proxy.requests) == 3


def test_a_proxy_that_closes_without_a_reply_is_told(new_client: NewClient) -> None:
    def script(talk: Talk) -> None:
        talk.hear()

    with Peer(script) as proxy:
        reply = new_client("http://api.invalid/x", proxy=through(proxy)).call(EDIT, TIMESTAMP)
    assert reply == Unanswered("the API closed the connection without a reply")


def test_a_call_that_may_not_leave_after_all_is_told_so_when_the_tunnel_stands(
    authority: Authority, new_client: NewClient
) -> None:
    """A proxy takes as long as it likes: whoever may not send any more is asked after that."""
    with Peer(tunnels) as proxy, Peer(keeps_answering, authority.server()) as peer:
        client = new_client(peer.url, proxy=through(proxy), ca_file=authority.file)
        asked: list[int] = []

        def leave() -> None:
            asked.append(peer.connections)

        assert client.call(EDIT, TIMESTAMP, leave=leave) is None
        assert client.call(EDIT, TIMESTAMP) == SUCCESS
        assert (asked, peer.connections, len(peer.requests)) == ([1], 1, 1)


@pytest.mark.parametrize("target", ["http", "https"])
def test_a_proxy_itself_can_be_reached_by_tls(
    target: str, authority: Authority, new_client: NewClient
) -> None:
    script, context = (
        (tunnels, authority.server()) if target == "https" else (keeps_answering, None)
    )
    with Peer(script, authority.server()) as proxy, Peer(keeps_answering, context) as peer:
        by = f"https://user:proxy-canary@127.0.0.1:{proxy.port}"
        client = new_client(peer.url, proxy=by, ca_file=authority.file)
        long = b"x" * 200_000
        assert [client.call(body, TIMESTAMP) for body in (EDIT, long, EDIT)] == [SUCCESS] * 3
        assert proxy.connections == 1
        heard = peer.requests if target == "https" else proxy.requests
        assert heard[1].endswith(long)


@pytest.mark.parametrize("says", [b"", b"SSH-2.0-OpenSSH_9.2\r\n"])
def test_a_proxy_that_is_none_is_told(says: bytes, new_client: NewClient) -> None:
    def script(talk: Talk) -> None:
        talk.hear()
        talk.say(says)

    with Peer(script) as proxy:
        reply = new_client("https://api.invalid/x", proxy=through(proxy)).call(EDIT, TIMESTAMP)
    assert isinstance(reply, Unanswered)
    assert "(the proxy does not answer in HTTP)" in reply.detail


def test_a_proxy_that_says_nothing_ends_in_time(new_client: NewClient) -> None:
    with Peer(silent) as proxy:
        client = new_client("https://api.invalid/x", connect=0.3, proxy=through(proxy))
        reply = client.call(EDIT, TIMESTAMP)
    assert isinstance(reply, Unanswered)
    assert "within 0.3 s" in reply.detail
