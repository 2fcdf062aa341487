"""Kept connections: used again, and noticed to be gone before a request is lost on them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier, BrokenBarrierError, Event
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from tests.contract.api.conftest import EDIT, TIMESTAMP
from tests.contract.api.peer import OK, Peer, Talk, http, keeps_answering
from worker.core.reply import Answered, Unanswered

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from tests.contract.api.conftest import Authority, NewClient

SUCCESS = Answered("0", "success")


@pytest.fixture(params=["tcp", "tls"])
def context(request: pytest.FixtureRequest, authority: Authority) -> ssl.SSLContext | None:
    """The peer's TLS settings, if it has any."""
    return authority.server() if request.param == "tls" else None


def test_calls_one_after_the_other_use_one_connection(
    context: ssl.SSLContext | None, authority: Authority, new_client: NewClient
) -> None:
    with Peer(keeps_answering, context) as peer:
        client = new_client(peer.url, ca_file=authority.file)
        assert [client.call(EDIT, TIMESTAMP) for _ in range(20)] == [SUCCESS] * 20
        assert peer.connections == 1
        assert len(peer.requests) == 20


def test_a_call_that_may_not_leave_after_all_sends_nothing_and_leaves_its_connection_to_the_next(
    context: ssl.SSLContext | None, authority: Authority, new_client: NewClient
) -> None:
    with Peer(keeps_answering, context) as peer:

        def leave() -> None:
            until = monotonic() + 5
            while not peer.connections:
                assert monotonic() < until, "asked before there was a connection"

        client = new_client(peer.url, ca_file=authority.file)
        assert client.call(EDIT, TIMESTAMP, leave=leave) is None
        assert client.call(EDIT, TIMESTAMP) == SUCCESS
        assert (peer.connections, len(peer.requests)) == (1, 1)


@pytest.mark.parametrize(
    "last",
    [
        http("200 OK", "Connection: close"),
        http("200 OK", "Keep-Alive: timeout=0, max=5"),
        OK.replace(b"HTTP/1.1", b"HTTP/1.0"),
        OK + b"surplus",
        OK + OK,
        http(length=False),
    ],
)
def test_a_connection_that_may_not_be_used_again_is_not(
    last: bytes, context: ssl.SSLContext | None, authority: Authority, new_client: NewClient
) -> None:
    """The peer would take a second request, and never answer it."""

    def script(talk: Talk) -> None:
        talk.hear()
        talk.say(last)
        if b"-Length" in last:
            talk.hear()
            talk.stay()

    with Peer(script, context) as peer:
        client = new_client(peer.url, call=5, ca_file=authority.file)
        assert [client.call(EDIT, TIMESTAMP) for _ in range(3)] == [SUCCESS] * 3
        assert peer.connections == 3


def closes(talk: Talk) -> None:
    talk.sock.close()


def resets(talk: Talk) -> None:
    talk.reset()


def says_goodbye(talk: Talk) -> None:
    talk.say(http("408 Request Timeout", "Connection: close", body=b""))
    talk.sock.close()


def says_something_stray(talk: Talk) -> None:
    talk.say(http(body=b'{"status":"-3"}'))


@pytest.mark.parametrize("end", [closes, resets, says_goodbye, says_something_stray])
def test_a_connection_that_ended_while_idle_is_replaced_before_the_call(
    end: Callable[[Talk], None],
    context: ssl.SSLContext | None,
    authority: Authority,
    new_client: NewClient,
) -> None:
    """No request goes out on it, and nothing that came on it answers the next."""
    idle, ended = Event(), Event()

    def script(talk: Talk) -> None:
        if talk.number > 1:
            keeps_answering(talk)
            return
        talk.hear()
        talk.say(OK)
        idle.wait(10)
        end(talk)
        ended.set()
        talk.stay()

    with Peer(script, context) as peer:
        client = new_client(peer.url, ca_file=authority.file)
        assert client.call(EDIT, TIMESTAMP) == SUCCESS
        idle.set()
        ended.wait(10)
        assert client.call(EDIT, TIMESTAMP) == SUCCESS
        assert len(peer.requests) == 2
        assert peer.connections == 2


@pytest.mark.parametrize(
    ("said", "why"),
    [(b"", "without a reply"), (OK[:9], "in the middle"), (OK[:-1], "in the middle")],
)
@pytest.mark.parametrize("end", [closes, resets])
def test_a_connection_that_ends_under_a_call_is_told_and_the_request_not_sent_again(
    end: Callable[[Talk], None],
    said: bytes,
    why: str,
    context: ssl.SSLContext | None,
    authority: Authority,
    new_client: NewClient,
) -> None:
    """Nobody knows whether the peer heard it; pacing and lease are the caller's."""

    def script(talk: Talk) -> None:
        talk.hear()
        talk.say(OK)
        if talk.number == 1 and talk.hear():
            if said:
                talk.say(said)
            end(talk)
            return
        keeps_answering(talk)

    with Peer(script, context) as peer:
        client = new_client(peer.url, ca_file=authority.file)
        assert client.call(EDIT, TIMESTAMP) == SUCCESS
        reply = client.call(EDIT, TIMESTAMP)
        assert isinstance(reply, Unanswered)
        assert "closed the connection" in reply.detail
        assert why in reply.detail or end is resets  # a reset may take the bytes before it along
        assert len(peer.requests) == 2
        assert client.call(EDIT, TIMESTAMP) == SUCCESS
        assert peer.connections == 2


def test_200_threads_call_at_once_and_their_connections_are_kept(new_client: NewClient) -> None:
    together = Barrier(200)

    def script(talk: Talk) -> None:
        while talk.hear():
            with suppress(BrokenBarrierError):
                together.wait(10)
            talk.say(OK)

    with Peer(script) as peer, ThreadPoolExecutor(200) as pool:
        client = new_client(peer.url)
        for _ in range(2):
            calls = [pool.submit(client.call, EDIT, TIMESTAMP) for _ in range(200)]
            assert [call.result() for call in calls] == [SUCCESS] * 200
        assert peer.connections == 200
        together.abort()
        assert [client.call(EDIT, TIMESTAMP) for _ in range(10)] == [SUCCESS] * 10
        assert peer.connections == 200


def test_closing_the_client_closes_what_is_kept(
    context: ssl.SSLContext | None, authority: Authority, new_client: NewClient
) -> None:
    closed = Event()

    def script(talk: Talk) -> None:
        keeps_answering(talk)
        closed.set()

    with Peer(script, context) as peer:
        client = new_client(peer.url, ca_file=authority.file)
        assert client.call(EDIT, TIMESTAMP) == SUCCESS
        client.close()
        assert closed.wait(10)


def test_a_kept_connection_is_closed_though_no_call_is_made_any_more(
    context: ssl.SSLContext | None, authority: Authority, new_client: NewClient
) -> None:
    closed = Event()

    def script(talk: Talk) -> None:
        talk.hear()
        talk.say(http("200 OK", "Keep-Alive: timeout=2"))
        talk.hear()
        closed.set()

    with Peer(script, context) as peer:
        client = new_client(peer.url, ca_file=authority.file)
        assert client.call(EDIT, TIMESTAMP) == SUCCESS
        assert closed.wait(15)
